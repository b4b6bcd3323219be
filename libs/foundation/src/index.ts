export {
  StatusError,
  isReason,
  reasons,
  type Reason,
  type Status,
  type StatusCause,
  type StatusDetails,
} from './errors';
export { createLogger, silentLogger, type Logger } from './log';
export { systemClock, formatTime, formatMicroTime, type Clock } from './clock';
export { parseFlags, describeFlags, UsageError, type Flags, type FlagSpec } from './flags';
export { runProcess, type Lifecycle } from './lifecycle';
export { serveHealth, createMetrics, runChecks, type HealthCheck, type HealthServerOptions } from './health';
export { DiskUsages, type DiskUsage } from './disk-usages';
export { BoundedMap } from './bounded-map';
export { refuseUpgrade } from './refuse-upgrade';
export { KeyedLock } from './keyed-lock';
export { addressesOf, ownAddress, parseListen, type Endpoint } from './own-address';
export { AddressRanges } from './address-ranges';
export {
  addressBits,
  addressValue,
  blockContains,
  blockSize,
  blocksOverlap,
  canonicalAddress,
  familyOf,
  formatAddress,
  hostPort,
  parseBlock,
  parseDualNetworks,
  parseNetwork,
  type IpBlock,
  type IpFamily,
} from './ip';
export { runPeriodically, type PeriodicWork } from './run-periodically';
export { kubernetesVersion } from './version';
