import type { Pod } from '@naru/api';
import { apply, ask, askJson, kubectl, withNamespace } from './cluster';
import { testUnlessOnContainerd as test } from './test-unless-on-containerd';

const name = (index: number): string => `apart-${index}`;
const pod = (index: number): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name(index)} }
spec:
  hostUsers: false
  terminationGracePeriodSeconds: 1
  securityContext: { runAsUser: 0, fsGroup: 2000 }
  volumes:
  - { name: data, emptyDir: {} }
  - { name: settings, configMap: { name: settings, defaultMode: 0440 } }
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    command: [sleep, '1000']
    volumeMounts:
    - { name: data, mountPath: /data }
    - { name: settings, mountPath: /settings }
    readinessProbe: { exec: { command: [test, -e, /settings/colour] }, periodSeconds: 1 }
`;

/** "inside outside size" of a pod's only run of user ids. */
async function idsOf(namespace: string, index: number): Promise<number[]> {
  const map = await ask('-n', namespace, 'exec', name(index), '--', 'cat', '/proc/self/uid_map');
  return map.trim().split(/\s+/).map(Number);
}

test('pods with hostUsers: false are root inside and nobody outside, each with ids of its own', async () => {
  await withNamespace('users', async namespace => {
    await kubectl(['-n', namespace, 'create', 'configmap', 'settings', '--from-literal=colour=blue']);
    await apply([0, 1].map(pod).join('---'), '-n', namespace);
    const pods = [0, 1].map(index => `pod/${name(index)}`);
    await kubectl(['-n', namespace, 'wait', '--for=condition=Ready', ...pods, '--timeout=120s']);
    const [first = [], second = []] = await Promise.all([0, 1].map(index => idsOf(namespace, index)));
    expect([first[0], first[2]]).toEqual([0, 65_536]);
    expect(first[1]).toBeGreaterThanOrEqual(65_536);
    const places = await Promise.all(
      [0, 1].map(async index => (await askJson<Pod>('-n', namespace, 'get', 'pod', name(index))).spec?.nodeName),
    );
    // Ids are the business of each node.
    if (places[0] === places[1]) expect(second[1]).not.toBe(first[1]);
    const script = 'id -u; touch /data/mine; stat -c %u:%g /data/mine /settings/colour; cat /settings/colour';
    expect((await ask('-n', namespace, 'exec', name(0), '--', 'sh', '-c', script)).split('\n')).toEqual([
      '0',
      '0:2000',
      '0:2000',
      'blue',
    ]);
    const [node] = places;
    const features = await askJson<{ status: { runtimeHandlers: { features?: { userNamespaces?: boolean } }[] } }>(
      ...['get', 'node', node ?? ''],
    );
    expect(features.status.runtimeHandlers.every(({ features: has }) => has?.userNamespaces)).toBe(true);
  });
});
