import { compileLabelMap, pods, services, type Pod, type Service, type Stored } from '@naru/api';
import { objectKey } from '@naru/client';
import type { ClusterInformers } from '../../framework/informers';

/** The pods that a Service's selector finds. */
export function selectPods(informers: ClusterInformers, service: Service): Stored<Pod>[] {
  const matches = compileLabelMap(service.spec?.selector ?? {});
  return informers
    .lister(pods)
    .list(service.metadata?.namespace)
    .filter(pod => matches(pod.metadata.labels));
}

/** The keys of the Services that select a pod. */
export function serviceKeysOf(informers: ClusterInformers): (pod: Stored<Pod>) => string[] {
  const lister = informers.lister(services);
  return ({ metadata }) =>
    lister
      .list(metadata.namespace)
      .filter(({ spec }) => {
        const selector = spec?.selector;
        return selector && Object.keys(selector).length > 0 && compileLabelMap(selector)(metadata.labels);
      })
      .map(service => objectKey(service));
}

/** Could the change of a pod change its endpoints? Most status updates cannot. */
export function changesEndpoints(pod: Stored<Pod>, old: Stored<Pod>): boolean {
  const facts = ({ metadata, spec, status }: Stored<Pod>): unknown => [
    metadata.labels,
    metadata.deletionTimestamp,
    spec?.nodeName,
    status?.podIPs,
    status?.podIP,
    status?.phase,
    status?.conditions?.find(({ type }) => type === 'Ready')?.status,
  ];
  return JSON.stringify(facts(pod)) !== JSON.stringify(facts(old));
}
