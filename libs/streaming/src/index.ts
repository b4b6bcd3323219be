export {
  proxyUpgrade,
  refuseUpgrade,
  type IncomingUpgrade,
  type UpgradeTarget,
  type UpgradeProxyOptions,
} from './upgrade-proxy';
