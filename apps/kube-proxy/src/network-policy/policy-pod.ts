import type { Pod, Stored } from '@naru/api';
import { addressOf, isDefined, type IpFamily } from '../desired/ip-family';

/** What NetworkPolicies need of a pod that has, or may get, an address of its own. */
export interface PolicyPod {
  /** `namespace/name`. */
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly nodeName: string | undefined;
  /** Of one family; none before its sandbox is there. */
  readonly ips: readonly string[];
  /** Its containers' ports that have names. */
  readonly namedPorts: readonly NamedPort[];
}

export interface NamedPort {
  readonly name: string;
  /** Lower case, as nft writes it. */
  readonly protocol: string;
  readonly port: number;
}

/** Undefined for pods that policies are not about: those in the node's own network, and those that have ended. */
export function policyPodOf({ metadata, spec, status }: Stored<Pod>, family: IpFamily): PolicyPod | undefined {
  if (spec?.hostNetwork === true || status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const ips = (status?.podIPs ?? []).map(({ ip }) => addressOf(ip, family)).filter(isDefined);
  const restartable = spec?.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always') ?? [];
  const namedPorts = [...(spec?.containers ?? []), ...restartable].flatMap(({ ports = [] }) =>
    ports.flatMap(({ name, protocol = 'TCP', containerPort }) =>
      name === undefined ? [] : [{ name, protocol: protocol.toLowerCase(), port: containerPort }],
    ),
  );
  return {
    key: `${metadata.namespace ?? ''}/${metadata.name}`,
    uid: metadata.uid,
    namespace: metadata.namespace ?? '',
    labels: metadata.labels ?? {},
    nodeName: spec?.nodeName,
    ips,
    namedPorts,
  };
}

/** All pods of the cluster are kept: only what `policyPodOf` reads. */
export function withoutUnused(pod: Stored<Pod>): Stored<Pod> {
  const { name, namespace, uid, resourceVersion, labels } = pod.metadata;
  const ports = (containers: NonNullable<Pod['spec']>['containers'] = []): typeof containers =>
    containers
      .filter(container => container.ports?.some(port => port.name !== undefined))
      .map(container => ({
        name: container.name,
        ports: container.ports,
        ...(container.restartPolicy === undefined ? {} : { restartPolicy: container.restartPolicy }),
      }));
  return {
    metadata: { name, namespace, uid, resourceVersion, labels },
    spec: {
      nodeName: pod.spec?.nodeName,
      hostNetwork: pod.spec?.hostNetwork,
      containers: ports(pod.spec?.containers),
      initContainers: ports(pod.spec?.initContainers),
    },
    status: { phase: pod.status?.phase, podIPs: pod.status?.podIPs },
  };
}
