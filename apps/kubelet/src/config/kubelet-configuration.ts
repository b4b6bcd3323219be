import fs from 'node:fs';
import { UsageError } from '@naru/foundation';
import { parse } from 'yaml';
import { formatDuration, parseDuration } from './duration';
import { kubeletConfigurationFields, type Field, type Fields } from './fields';
import type { KubeletFlags } from './flags';
import { parseCpuSet } from '../topology/cpu-set';
import type { MemoryReservation } from '../topology/reserved-memory';
import { validateConfiguration } from './validate';

/** The kubelet's configuration as it is in effect, under upstream's names; durations as Go prints them. */
export interface KubeletConfiguration {
  staticPodPath: string;
  staticPodURL: string;
  staticPodURLHeader: Record<string, string[]>;
  httpCheckFrequency: string;
  shutdownGracePeriod: string;
  shutdownGracePeriodCriticalPods: string;
  podLogsDir: string;
  allowedUnsafeSysctls: string[];
  seccompDefault: boolean;
  userNamespaces: { idsPerPod: number };
  syncFrequency: string;
  maxPods: number;
  podsPerCore: number;
  podPidsLimit: number;
  clusterDomain: string;
  clusterDNS: string[];
  resolvConf: string;
  cpuCFSQuota: boolean;
  address: string;
  port: number;
  tlsCertFile: string;
  tlsPrivateKeyFile: string;
  authentication: { x509: { clientCAFile: string }; anonymous: { enabled: boolean } };
  enableDebuggingHandlers: boolean;
  enableSystemLogHandler: boolean;
  healthzPort: number;
  healthzBindAddress: string;
  nodeStatusUpdateFrequency: string;
  nodeStatusReportFrequency: string;
  nodeLeaseDurationSeconds: number;
  nodeStatusMaxImages: number;
  registerWithTaints: { key: string; value?: string; effect: string }[];
  registerNode: boolean;
  providerID: string;
  systemReserved: Record<string, string>;
  kubeReserved: Record<string, string>;
  enforceNodeAllocatable: string[];
  cgroupRoot: string;
  cgroupDriver: string;
  containerRuntimeEndpoint: string;
  cpuManagerPolicy: string;
  cpuManagerPolicyOptions: Record<string, string>;
  cpuManagerReconcilePeriod: string;
  reservedSystemCPUs: string;
  memoryManagerPolicy: string;
  reservedMemory: MemoryReservation[];
  topologyManagerPolicy: string;
  topologyManagerScope: string;
  crashLoopBackOff: { maxContainerRestartPeriod: string };
  imageMinimumGCAge: string;
  imageMaximumGCAge: string;
  imageGCHighThresholdPercent: number;
  imageGCLowThresholdPercent: number;
  serializeImagePulls: boolean;
  maxParallelImagePulls: number;
  imagePullCredentialsVerificationPolicy: string;
  preloadedImagesVerificationAllowlist: string[];
  evictionHard: Record<string, string>;
  evictionSoft: Record<string, string>;
  evictionSoftGracePeriod: Record<string, string>;
  evictionPressureTransitionPeriod: string;
  evictionMaxPodGracePeriod: number;
  evictionMinimumReclaim: Record<string, string>;
  mergeDefaultEvictionSettings: boolean;
  localStorageCapacityIsolation: boolean;
  volumeStatsAggPeriod: string;
  containerLogMaxSize: string;
  containerLogMaxFiles: number;
  containerLogMonitorInterval: string;
  /** Fields that change nothing here, as they were given. */
  [other: string]: unknown;
}

const kinds: Record<Exclude<Field['kind'], 'object' | 'any'>, { name: string; holds: (value: unknown) => boolean }> = {
  string: { name: 'a string', holds: value => typeof value === 'string' },
  integer: { name: 'a whole number', holds: value => Number.isSafeInteger(value) },
  number: { name: 'a number', holds: value => typeof value === 'number' },
  boolean: { name: 'true or false', holds: value => typeof value === 'boolean' },
  duration: { name: 'a duration such as 1m30s', holds: value => typeof value === 'string' },
  strings: {
    name: 'a list of strings',
    holds: value => Array.isArray(value) && value.every(each => typeof each === 'string'),
  },
  map: {
    name: 'a map of strings',
    holds: value => isObject(value) && Object.values(value).every(each => typeof each === 'string'),
  },
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One value by its field, normalised. Throws with the path of the field. */
function readValue(path: string, field: Field, value: unknown): unknown {
  if (field.kind === 'object') return readObject(`${path}.`, field.fields as Fields, value);
  if (field.kind === 'any') return value;
  const kind = kinds[field.kind];
  if (!kind.holds(value)) throw new Error(`${path}: must be ${kind.name}`);
  if (field.kind !== 'duration') return value;
  try {
    return formatDuration(parseDuration(value as string));
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function readObject(prefix: string, fields: Fields, value: unknown): Record<string, unknown> {
  if (!isObject(value)) throw new Error(`${prefix.slice(0, -1) || 'document'}: must be an object`);
  const unknown = Object.keys(value).filter(name => !Object.hasOwn(fields, name));
  if (unknown.length > 0) {
    throw new Error(`strict decoding error: ${unknown.map(name => `unknown field "${prefix}${name}"`).join(', ')}`);
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== null)
      .map(([name, each]) => [name, readValue(prefix + name, fields[name] as Field, each)]),
  );
}

/** Reads a KubeletConfiguration document. Throws for another kind, for unknown fields and for values of a wrong kind. */
export function parseKubeletConfiguration(text: string): Record<string, unknown> {
  const document: unknown = parse(text, { maxAliasCount: 100 });
  if (!isObject(document)) throw new Error('it is no YAML object');
  const { apiVersion, kind, ...rest } = document;
  if (apiVersion !== 'kubelet.config.k8s.io/v1beta1' || kind !== 'KubeletConfiguration') {
    throw new Error(`no kind "${String(kind)}" is registered for version "${String(apiVersion)}"`);
  }
  return readObject('', kubeletConfigurationFields, rest);
}

function pairs(flag: string, parts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    parts.map(part => {
      const [, name = '', value = ''] = /^([^=<]+)[=<](.+)$/.exec(part) ?? [];
      if (name === '') throw new UsageError(`flag --${flag}: "${part}" is not of the form name=value`);
      return [name.trim(), value.trim()];
    }),
  );
}

/** A flag's value in the form of its field. */
function ofFlag(flag: string, field: Field, value: unknown): unknown {
  if (field.parse) return field.parse(value as string[]);
  return field.kind === 'map' ? pairs(flag, value as string[]) : value;
}

/** Fills an object: the command line wins over the file, the file over the default. */
function fill(fields: Fields, given: Record<string, unknown>, flags: Record<string, unknown>): Record<string, unknown> {
  const filled: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const flag = field.flag === undefined ? undefined : flags[field.flag];
    if (field.kind === 'object') {
      filled[name] = fill(field.fields as Fields, (given[name] ?? {}) as Record<string, unknown>, flags);
    } else if (flag !== undefined) filled[name] = ofFlag(field.flag as string, field, flag);
    else if (Object.hasOwn(given, name)) filled[name] = given[name];
    else if (field.default !== undefined) {
      filled[name] = field.kind === 'duration' ? formatDuration(parseDuration(field.default as string)) : field.default;
    }
  }
  return filled;
}

/** The names of fields that were given and change nothing here. */
export function idleFields(given: Record<string, unknown>): string[] {
  return Object.keys(given).filter(name => kubeletConfigurationFields[name]?.idle);
}

/** CPUs that are reserved by name are what is reserved, whatever else was said of their number. */
function reserveNamedCpus(configuration: KubeletConfiguration): void {
  const named = parseCpuSet(configuration.reservedSystemCPUs);
  if (named.size === 0) return;
  const { cpu: _, ...kubeReserved } = configuration.kubeReserved;
  configuration.kubeReserved = kubeReserved;
  configuration.systemReserved = { ...configuration.systemReserved, cpu: String(named.size) };
}

/** What is in effect: defaults, below the file of --config, below the command line. Throws UsageError, naming the field. */
export function effectiveConfiguration(flags: Partial<KubeletFlags>): {
  configuration: KubeletConfiguration;
  /** Fields of the file that are accepted without effect. */
  idle: string[];
} {
  const file = flags.config;
  let given: Record<string, unknown> = {};
  try {
    if (file) given = parseKubeletConfiguration(fs.readFileSync(file, 'utf8'));
  } catch (cause) {
    const why = (cause as Error).message;
    throw new UsageError(`failed to load kubelet config file, path: ${file}, error: ${why}`, { cause });
  }
  const configuration = fill(kubeletConfigurationFields, given, flags) as KubeletConfiguration;
  const { evictionHard } = configuration;
  // As upstream: naming one threshold turns the other defaults off, unless they are to be merged.
  if (configuration.mergeDefaultEvictionSettings) {
    const defaults = kubeletConfigurationFields['evictionHard']?.default as Record<string, string>;
    configuration.evictionHard = { ...defaults, ...evictionHard };
  }
  const problems = validateConfiguration(configuration);
  if (problems.length > 0) {
    throw new UsageError(`failed to validate kubelet configuration, error: [${problems.join(', ')}]`);
  }
  reserveNamedCpus(configuration);
  return { configuration, idle: idleFields(given) };
}
