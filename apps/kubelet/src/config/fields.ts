import { parseTaint } from '@naru/api';
import { parseReservedMemory } from '../topology/reserved-memory';

/** One field of a configuration: its kind, its default, and how it can be reached otherwise. */
export interface Field {
  kind: 'string' | 'integer' | 'number' | 'boolean' | 'duration' | 'strings' | 'map' | 'object' | 'any';
  default?: unknown;
  /** The command line flag that overrides it. */
  flag?: string;
  /** Upstream knows it; here it changes nothing, and who sets it is told so. */
  idle?: true;
  /** Of an object. */
  fields?: Fields;
  /** Makes its value of the parts of the flag. */
  parse?: (parts: readonly string[]) => unknown;
}

export type Fields = Readonly<Record<string, Field>>;

const text = (fallback: string, flag?: string): Field => ({
  kind: 'string',
  default: fallback,
  ...(flag ? { flag } : {}),
});
const whole = (fallback: number, flag?: string): Field => ({
  kind: 'integer',
  default: fallback,
  ...(flag ? { flag } : {}),
});
const truth = (fallback: boolean): Field => ({ kind: 'boolean', default: fallback });
const duration = (fallback: string): Field => ({ kind: 'duration', default: fallback });
const map = (fallback: Record<string, string> = {}, flag?: string): Field => ({
  kind: 'map',
  default: fallback,
  ...(flag ? { flag } : {}),
});
/** `name:value` as a flag has it, in the form of the field: name → values. */
function headersOf(parts: readonly string[]): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (const part of parts) {
    const at = part.indexOf(':');
    if (at < 1) throw new Error(`flag --manifest-url-header: "${part}" is not of the form name:value`);
    (headers[part.slice(0, at).trim()] ??= []).push(part.slice(at + 1).trim());
  }
  return headers;
}

const idle = (kind: Field['kind']): Field => ({ kind, idle: true });

/**
 * Every field of kubelet.config.k8s.io/v1beta1 KubeletConfiguration, with upstream's defaults. Where ours differ the reason stands
 * beside them. Source: kubernetes/kubelet config/v1beta1/types.go and pkg/kubelet/apis/config/v1beta1/defaults.go.
 */
export const kubeletConfigurationFields = {
  // Pods
  staticPodPath: text('', 'pod-manifest-path'),
  staticPodURL: text('', 'manifest-url'),
  staticPodURLHeader: {
    kind: 'any',
    default: {},
    flag: 'manifest-url-header',
    parse: parts => headersOf(parts),
  },
  httpCheckFrequency: duration('20s'),
  shutdownGracePeriod: duration('0s'),
  shutdownGracePeriodCriticalPods: duration('0s'),
  podLogsDir: text('', 'pod-logs-dir'),
  allowedUnsafeSysctls: { kind: 'strings', default: [], flag: 'allowed-unsafe-sysctls' },
  seccompDefault: truth(false),
  userNamespaces: { kind: 'object', fields: { idsPerPod: whole(65_536) } },
  // Upstream has 1 m; a mounted ConfigMap follows its object sooner here.
  syncFrequency: duration('30s'),
  maxPods: whole(110, 'max-pods'),
  podsPerCore: whole(0),
  podPidsLimit: whole(-1, 'pod-max-pids'),
  clusterDomain: text('cluster.local', 'cluster-domain'),
  clusterDNS: { kind: 'strings', default: [], flag: 'cluster-dns' },
  resolvConf: text('/etc/resolv.conf', 'resolv-conf'),
  cpuCFSQuota: truth(true),
  // Serving
  address: text('0.0.0.0', 'address'),
  port: whole(10250, 'port'),
  tlsCertFile: text('', 'serving-certificate'),
  tlsPrivateKeyFile: text('', 'serving-key'),
  authentication: {
    kind: 'object',
    fields: {
      x509: { kind: 'object', fields: { clientCAFile: { kind: 'string', default: '', flag: 'ca' } } },
      webhook: { kind: 'object', fields: { enabled: idle('boolean'), cacheTTL: idle('duration') } },
      anonymous: { kind: 'object', fields: { enabled: truth(false) } },
    },
  },
  enableDebuggingHandlers: truth(true),
  enableSystemLogHandler: truth(true),
  healthzPort: whole(10248),
  healthzBindAddress: text('127.0.0.1'),
  // The node
  nodeStatusUpdateFrequency: duration('10s'),
  nodeStatusReportFrequency: duration('5m'),
  nodeLeaseDurationSeconds: whole(40, 'node-lease-duration-seconds'),
  nodeStatusMaxImages: whole(50),
  registerWithTaints: {
    kind: 'any',
    default: [],
    flag: 'register-with-taints',
    parse: parts => parts.map(parseTaint),
  },
  registerNode: truth(true),
  providerID: text(''),
  systemReserved: map({}, 'system-reserved'),
  kubeReserved: map({}, 'kube-reserved'),
  enforceNodeAllocatable: { kind: 'strings', default: ['pods'] },
  cgroupRoot: text('', 'cgroup-root'),
  cgroupDriver: text('cgroupfs', 'cgroup-driver'),
  containerRuntimeEndpoint: text('unix:///run/naru/runtime.sock', 'container-runtime-endpoint'),
  // What is given to single containers
  cpuManagerPolicy: text('none', 'cpu-manager-policy'),
  cpuManagerPolicyOptions: map({}, 'cpu-manager-policy-options'),
  cpuManagerReconcilePeriod: duration('10s'),
  reservedSystemCPUs: text('', 'reserved-cpus'),
  memoryManagerPolicy: text('None', 'memory-manager-policy'),
  reservedMemory: {
    kind: 'any',
    default: [],
    flag: 'reserved-memory',
    parse: parts => parseReservedMemory(parts),
  },
  topologyManagerPolicy: text('none', 'topology-manager-policy'),
  topologyManagerScope: text('container', 'topology-manager-scope'),
  // Containers
  crashLoopBackOff: { kind: 'object', fields: { maxContainerRestartPeriod: duration('5m') } },
  // Images
  imageMinimumGCAge: duration('2m'),
  imageMaximumGCAge: duration('0s'),
  imageGCHighThresholdPercent: whole(85),
  imageGCLowThresholdPercent: whole(80),
  // Upstream pulls one image at a time unless told otherwise; here four, as with serializeImagePulls: false.
  serializeImagePulls: truth(false),
  maxParallelImagePulls: whole(4),
  imagePullCredentialsVerificationPolicy: text('NeverVerifyPreloadedImages'),
  preloadedImagesVerificationAllowlist: { kind: 'strings', default: [] },
  // Eviction
  evictionHard: map(
    {
      'memory.available': '100Mi',
      'nodefs.available': '10%',
      'nodefs.inodesFree': '5%',
      'imagefs.available': '15%',
      'imagefs.inodesFree': '5%',
      'pid.available': '100',
    },
    'eviction-hard',
  ),
  evictionSoft: map({}, 'eviction-soft'),
  evictionSoftGracePeriod: map({}, 'eviction-soft-grace-period'),
  evictionPressureTransitionPeriod: duration('5m'),
  evictionMaxPodGracePeriod: whole(0),
  evictionMinimumReclaim: map({}, 'eviction-minimum-reclaim'),
  mergeDefaultEvictionSettings: truth(false),
  localStorageCapacityIsolation: truth(true),
  volumeStatsAggPeriod: duration('1m'),
  // Logs
  containerLogMaxSize: text('10Mi'),
  containerLogMaxFiles: whole(5),
  containerLogMonitorInterval: duration('10s'),
  // Known to upstream, without effect here
  ...Object.fromEntries(
    (
      [
        ['boolean', 'enableServer rotateCertificates serverTLSBootstrap enableContentionProfiling cgroupsPerQOS'],
        ['boolean', 'singleProcessOOMKill runOnce enableControllerAttachDetach protectKernelDefaults'],
        ['boolean', 'makeIPTablesUtilChains failSwapOn kernelMemcgNotification'],
        ['boolean', 'enableSystemLogQuery enableProfilingHandler enableDebugFlagsHandler failCgroupV1'],
        ['integer', 'readOnlyPort registryPullQPS registryBurst eventRecordQPS eventBurst oomScoreAdj maxOpenFiles'],
        ['integer', 'kubeAPIQPS kubeAPIBurst iptablesMasqueradeBit iptablesDropBit containerLogMaxWorkers'],
        ['number', 'memoryThrottlingFactor'],
        ['duration', 'fileCheckFrequency streamingConnectionIdleTimeout'],
        ['duration', 'runtimeRequestTimeout cpuCFSQuotaPeriod'],
        ['string', 'tlsMinVersion kubeletCgroups systemCgroups'],
        ['string', 'hairpinMode podCIDR contentType configMapAndSecretChangeDetectionStrategy'],
        ['string', 'showHiddenMetricsForVersion systemReservedCgroup kubeReservedCgroup volumePluginDir'],
        ['string', 'imageServiceEndpoint memoryReservationPolicy'],
        ['strings', 'tlsCipherSuites'],
        ['map', 'topologyManagerPolicyOptions qosReserved defaultPodSysctls'],
        ['any', 'authorization featureGates memorySwap logging shutdownGracePeriodByPodPriority'],
        ['any', 'tracing tlsCurvePreferences'],
      ] as const
    ).flatMap(([kind, names]) => names.split(' ').map(name => [name, idle(kind)])),
  ),
} satisfies Fields as Fields;
