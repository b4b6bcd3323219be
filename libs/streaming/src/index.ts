export {
  proxyUpgrade,
  refuseUpgrade,
  type IncomingUpgrade,
  type UpgradeTarget,
  type UpgradeProxyOptions,
} from './upgrade-proxy';
export {
  RemoteCommandServer,
  RemoteCommandSession,
  remoteCommandProtocols,
  resultStatus,
  type RemoteCommandProtocol,
  type RemoteCommandResult,
  type RemoteCommandStreams,
  type TerminalSize,
} from './remote-command';
export { servePortForward, type Forward } from './port-forward';
