import { configMaps, namespaces } from '@naru/api';
import { isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { isNamespaceTerminating } from '../../pods/pod-control';

const name = 'kube-root-ca.crt';

async function reconcile(namespace: string, { informers, client, config }: ControllerDeps): Promise<void> {
  const owner = informers.lister(namespaces).get({ name: namespace });
  if (!config.rootCa || !owner || owner.metadata.deletionTimestamp || owner.status?.phase === 'Terminating') return;
  const data = { 'ca.crt': config.rootCa };
  const current = informers.lister(configMaps).get({ namespace, name });
  if (current?.data?.['ca.crt'] === config.rootCa && Object.keys(current.data).length === 1) return;
  try {
    if (current) await client.update(configMaps, { ...current, data });
    else {
      const annotations = {
        'kubernetes.io/description':
          'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
      };
      const metadata = { namespace, name, annotations };
      await client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
    }
  } catch (error) {
    if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
  }
}

/** Puts the cluster's certificate authority into every namespace, for pods that talk to the api-server. */
export const rootCaController: Controller = {
  name: 'root-ca-certificate-publisher-controller',
  watches: () => [
    watch(namespaces, ({ metadata }) => [metadata.name]),
    watch(configMaps, ({ metadata }) => (metadata.name === name ? [metadata.namespace ?? ''] : [])),
  ],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
