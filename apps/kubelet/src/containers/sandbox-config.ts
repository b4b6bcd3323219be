import type { Pod } from '@naru/api';
import { cri } from '@naru/proto';
import { podLabels } from '../cri/labels';
import { podDns, type ClusterDns } from './dns';
import { podHostname } from './hosts-file';
import { sandboxSecurityContext } from './security-context';
import { dottedSysctl } from './sysctl-name';

export interface SandboxConfigInput {
  pod: Pod;
  attempt: number;
  dns: ClusterDns;
  logDirectory: string;
  userNamespace: cri.UserNamespace;
  /** Path of the pod's cgroup below the hierarchy's root. */
  cgroupParent: string;
  /** What the pod's containers may use together. */
  resources: cri.LinuxContainerResources;
}

const protocols: Record<string, cri.Protocol> = {
  TCP: cri.Protocol.TCP,
  UDP: cri.Protocol.UDP,
  SCTP: cri.Protocol.SCTP,
};

function portMappings(pod: Pod): cri.PortMapping[] {
  const containers = [...(pod.spec?.initContainers ?? []).filter(each => each.restartPolicy === 'Always')];
  containers.push(...(pod.spec?.containers ?? []));
  return containers
    .flatMap(container => container.ports ?? [])
    .map(({ protocol = 'TCP', containerPort, hostPort = 0, hostIP = '' }) => ({
      protocol: protocols[protocol] ?? cri.Protocol.TCP,
      containerPort,
      hostPort,
      hostIp: hostIP,
    }));
}

/** What the runtime needs to know to set up a pod's sandbox. Source: kuberuntime generatePodSandboxConfig. */
export function sandboxConfig(input: SandboxConfigInput): cri.PodSandboxConfig {
  const { pod } = input;
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  const hostNetwork = pod.spec?.hostNetwork ?? false;
  const { hostname, domain } = podHostname(pod, input.dns.domain);
  const fqdn = pod.spec?.setHostnameAsFQDN && domain ? `${hostname}.${domain}` : hostname;
  const sysctls = Object.fromEntries(
    (pod.spec?.securityContext?.sysctls ?? []).map(sysctl => [dottedSysctl(sysctl.name), sysctl.value]),
  );
  return cri.PodSandboxConfig.fromPartial({
    metadata: { name, namespace, uid, attempt: input.attempt },
    // In the node's network the runtime uses the node's name.
    hostname: hostNetwork ? '' : fqdn,
    logDirectory: input.logDirectory,
    dnsConfig: podDns(pod, input.dns),
    portMappings: hostNetwork ? [] : portMappings(pod),
    labels: podLabels(pod),
    annotations: pod.metadata?.annotations ?? {},
    linux: {
      cgroupParent: input.cgroupParent,
      securityContext: sandboxSecurityContext(pod, input.userNamespace),
      sysctls,
      resources: input.resources,
    },
  });
}
