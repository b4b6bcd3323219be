import { isReason } from '@naru/foundation';
import type { Service } from '@naru/api';
import type { KubeApi } from './kube-api';

const service = '/api/v1/namespaces/kube-system/services/metrics-server';
const apiService = '/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io';

/**
 * Takes back what a metrics-server of ours has registered that is wanted no more: an API that nobody answers for keeps
 * every namespace from going. A Service that selects pods belongs to a server that somebody runs on the cluster.
 */
export async function withdrawMetrics(api: Pick<KubeApi, 'request'>): Promise<void> {
  const ifThere = (error: unknown): undefined => {
    if (!isReason(error, 'NotFound')) throw error;
    return undefined;
  };
  const found = await api.request<Service>('GET', service).catch(ifThere);
  if (!found || Object.keys(found.spec?.selector ?? {}).length > 0) return;
  await api.request('DELETE', apiService).catch(ifThere);
  await api.request('DELETE', service).catch(ifThere);
}
