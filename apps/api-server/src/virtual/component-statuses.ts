import { get } from 'node:http';
import { componentStatuses, leases, type ComponentStatus, type Lease } from '@naru/api';
import type { ObjectDeps } from '../objects/deps';
import type { VirtualKind } from '../objects/virtual-kind';
import { decodeBytes } from '../storage/codec';

type Health = { message: string } | { error: string };

const timeoutMs = 2_000;
const maxMessageBytes = 1_000;
const systemNamespace = 'kube-system';
/** The candidates of a process share a Lease; its holder is asked. */
const processes = { 'controller-manager': 'kube-controller-manager', scheduler: 'kube-scheduler' };

/** What `kubectl get componentstatuses` shows: the processes beside this one, asked on the spot. */
export const componentStatusReader: VirtualKind = {
  resource: `/${componentStatuses.resource}`,
  async list(deps, signal) {
    const components = Object.entries(processes).map(async ([name, lease]) =>
      statusOf(name, await processHealth(deps, lease, signal)),
    );
    return Promise.all([...components.slice(0, 1), statusOf('etcd-0', storeHealth(deps)), ...components.slice(1)]);
  },
};

function statusOf(name: string, health: Health): ComponentStatus {
  const status = 'error' in health ? 'False' : 'True';
  return {
    apiVersion: 'v1',
    kind: 'ComponentStatus',
    metadata: { name },
    conditions: [{ type: 'Healthy', status, ...health }],
  };
}

/** The store under upstream's name of it, whatever the driver. */
function storeHealth({ storage }: ObjectDeps): Health {
  try {
    storage.check();
    return { message: 'ok' };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

async function processHealth({ storage, scheme }: ObjectDeps, name: string, signal: AbortSignal): Promise<Health> {
  const definition = scheme.byResource(leases.group, leases.version, leases.resource)!;
  const entry = storage.cache(definition).get(systemNamespace, name);
  const holder = entry && decodeBytes<Lease>(entry.bytes).spec?.holderIdentity;
  // An identity ends in the port of the health server: see candidateIdentity of those processes.
  const port = /_(\d{1,5})$/.exec(holder ?? '')?.[1];
  if (port === undefined) return { error: `nobody holds the lease ${systemNamespace}/${name}` };
  return ask(Number(port), signal);
}

/** Health servers listen on loopback only. */
function ask(port: number, signal: AbortSignal): Promise<Health> {
  return new Promise(resolve => {
    const request = get({ host: '127.0.0.1', port, path: '/healthz', timeout: timeoutMs, signal }, response => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text = (text + chunk).slice(0, maxMessageBytes)));
      response.on('end', () => {
        const message = text.trim();
        resolve(
          response.statusCode === 200 ? { message } : { error: `unhealthy (${response.statusCode}): ${message}` },
        );
      });
      response.on('error', error => resolve({ error: error.message }));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer on port ${port} within ${timeoutMs} ms`)));
    request.on('error', error => resolve({ error: error.message }));
  });
}
