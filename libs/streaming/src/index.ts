export {
  proxyUpgrade,
  refuseUpgrade,
  type IncomingUpgrade,
  type UpgradeTarget,
  type UpgradeProxyOptions,
} from './upgrade-proxy';
export {
  RemoteCommandSession,
  resultStatus,
  type RemoteCommandResult,
  type RemoteCommandStreams,
  type TerminalSize,
} from './remote-command';
export { sendOverWebSocket } from './byte-stream';
export { RemoteCommandServer } from './remote-command-server';
export { servePortForward, type Forward } from './port-forward';
