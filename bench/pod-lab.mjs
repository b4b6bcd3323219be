// A namespace of a benchmark's own, and the pods that it starts there: what the benchmarks of pods begin with.
import { parseArgs } from 'node:util';
import { openKubeconfig } from './kube-rest.mjs';

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

export const isReady = ({ status }) =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');

/** Waits until `condition` answers true; one that rejects is asked again. */
export async function until(what, condition, seconds = 180) {
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(100)) {
    if (await condition().catch(() => false)) return;
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}

/** Reads the command line: --kubeconfig, --image, --node, and the benchmark's own flags with their defaults. */
export function podLab(name, ownFlags) {
  const own = Object.entries(ownFlags).map(([flag, value]) => [flag, { type: 'string', default: value }]);
  const { values: flags } = parseArgs({
    options: {
      kubeconfig: { type: 'string', default: process.env.KUBECONFIG },
      image: { type: 'string', default: 'naru.dev/web:v1' },
      node: { type: 'string' },
      ...Object.fromEntries(own),
    },
  });
  // As a client of Go's, which has one connection: thirty handshakes at once would take of the processors what the pods need.
  const api = openKubeconfig(flags.kubeconfig, { connections: 4 });
  const namespace = `${name}-${Date.now().toString(36)}`;
  const place = `/api/v1/namespaces/${namespace}`;
  return {
    flags,
    api,
    podsPath: `${place}/pods`,
    /** Pods are refused until the namespace's default service account exists. */
    async open() {
      await api.call('POST', '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace },
      });
      await until('service account', () => api.call('GET', `${place}/serviceaccounts/default`).then(() => true));
    },
    close: () => api.call('DELETE', place),
    /** A pod of the image that does nothing, and ends at once when told to. */
    pod: (podName, spec = {}, container = {}) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: podName },
      spec: {
        terminationGracePeriodSeconds: 1,
        ...spec,
        containers: [
          {
            name: 'main',
            image: flags.image,
            imagePullPolicy: 'IfNotPresent',
            command: ['sh', '-c', 'trap "exit 0" TERM; sleep 3600 & wait'],
            ...container,
          },
        ],
      },
    }),
  };
}
