import { cri } from '@naru/proto';

/** Annotations of a pod with what plugins of those capabilities take: a list with commas, or one value. */
const lists: Record<string, string> = { ips: 'cni.naru.dev/ips' };
const values: Record<string, string> = { mac: 'cni.naru.dev/mac', infinibandGUID: 'cni.naru.dev/infiniband-guid' };

/**
 * What plugins may be told about a pod, each by the capability that a plugin declares for it. Source: containernetworking/cni,
 * CONVENTIONS.md.
 */
export function capabilityArguments(config: cri.PodSandboxConfig, cgroupPath: string): Record<string, unknown> {
  const { annotations, dnsConfig } = config;
  const portMappings = config.portMappings
    .filter(mapping => mapping.hostPort > 0)
    .map(mapping => ({
      hostPort: mapping.hostPort,
      containerPort: mapping.containerPort,
      protocol: cri.protocolToJSON(mapping.protocol).toLowerCase(),
      hostIP: mapping.hostIp,
    }));
  const given: Record<string, unknown> = {
    ...(portMappings.length > 0 ? { portMappings } : {}),
    ...bandwidth(annotations),
    ...(dnsConfig
      ? { dns: { servers: dnsConfig.servers, searches: dnsConfig.searches, options: dnsConfig.options } }
      : {}),
    cgroupPath,
    'io.kubernetes.cri.pod-annotations': annotations,
  };
  for (const [capability, name] of Object.entries(lists)) {
    const parts = (annotations[name] ?? '').split(',').map(part => part.trim());
    if (parts.some(Boolean)) given[capability] = parts.filter(Boolean);
  }
  for (const [capability, name] of Object.entries(values)) {
    if (annotations[name]) given[capability] = annotations[name];
  }
  return given;
}

const units: Record<string, number> = { '': 1, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** The bandwidth that a pod's annotations allow it, for the plugin of that name: bits a second, and bursts as large as one may be. */
function bandwidth(annotations: Record<string, string>): Record<string, unknown> {
  const rate = (direction: string): number | undefined => {
    const [, number, unit = ''] =
      /^(\d+(?:\.\d+)?)([kMG]i?)?$/.exec(annotations[`kubernetes.io/${direction}-bandwidth`] ?? '') ?? [];
    return number === undefined ? undefined : Math.floor(Number(number) * (units[unit] ?? 1));
  };
  const [ingressRate, egressRate] = [rate('ingress'), rate('egress')];
  if (ingressRate === undefined && egressRate === undefined) return {};
  const burst = 2 ** 31 - 1;
  return {
    bandwidth: {
      ...(ingressRate === undefined ? {} : { ingressRate, ingressBurst: burst }),
      ...(egressRate === undefined ? {} : { egressRate, egressBurst: burst }),
    },
  };
}
