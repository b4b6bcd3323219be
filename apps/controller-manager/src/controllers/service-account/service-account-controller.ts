import { namespaces, serviceAccounts } from '@naru/api';
import { isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { isNamespaceTerminating } from '../../pods/pod-control';

async function reconcile(name: string, { informers, client }: ControllerDeps): Promise<void> {
  const namespace = informers.lister(namespaces).get({ name });
  if (!namespace || namespace.metadata.deletionTimestamp || namespace.status?.phase === 'Terminating') return;
  if (informers.lister(serviceAccounts).get({ namespace: name, name: 'default' })) return;
  try {
    await client.create(serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace: name, name: 'default' },
    });
  } catch (error) {
    if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
  }
}

/** Every namespace has the service account `default`. */
export const serviceAccountController: Controller = {
  name: 'serviceaccount-controller',
  watches: () => [
    watch(namespaces, ({ metadata }) => [metadata.name]),
    watch(serviceAccounts, ({ metadata }) => (metadata.name === 'default' ? [metadata.namespace ?? ''] : []), {
      relevant: () => false,
    }),
  ],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
