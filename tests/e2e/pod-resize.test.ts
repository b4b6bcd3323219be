import type { Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, kubectl, withNamespace } from './cluster';

test('kubectl resizes a running pod, which goes on running with its new limits', async () => {
  await withNamespace('resize', async namespace => {
    const pod = `
apiVersion: v1
kind: Pod
metadata: { name: elastic }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    command: [sleep, '1000']
    resources: { requests: { cpu: 50m, memory: 32Mi }, limits: { cpu: 100m, memory: 64Mi } }
`;
    await apply(pod, '-n', namespace);
    await kubectl(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/elastic', '--timeout=120s']);
    const before = await askJson<Pod>('-n', namespace, 'get', 'pod', 'elastic');
    const resources = { requests: { cpu: '60m', memory: '32Mi' }, limits: { cpu: '200m', memory: '96Mi' } };
    const patch = JSON.stringify({ spec: { containers: [{ name: 'main', resources }] } });
    const refused = await kubectl(['-n', namespace, 'patch', 'pod', 'elastic', '-p', patch], { anyCode: true });
    expect(refused.stderr).toMatch(/pod updates may not change fields other than/);
    await kubectl(['-n', namespace, 'patch', 'pod', 'elastic', '--subresource=resize', '-p', patch]);
    const after = await eventually(
      async () => {
        const found = await askJson<Pod>('-n', namespace, 'get', 'pod', 'elastic');
        expect(found.status?.containerStatuses?.[0]?.resources).toEqual(resources);
        expect(found.status?.conditions?.some(({ type }) => type.startsWith('PodResize'))).toBe(false);
        expect(found.status?.observedGeneration).toBe(found.metadata?.generation);
        return found;
      },
      90_000,
      200,
    );
    const [container] = after.status?.containerStatuses ?? [];
    expect(container).toMatchObject({
      containerID: before.status?.containerStatuses?.[0]?.containerID,
      restartCount: 0,
      allocatedResources: resources.requests,
    });
    const script =
      'if [ -e /sys/fs/cgroup/memory.max ]; then cat /sys/fs/cgroup/memory.max; else cat /sys/fs/cgroup/memory/memory.limit_in_bytes; fi';
    expect(await ask('-n', namespace, 'exec', 'elastic', '--', 'sh', '-c', script)).toBe(String(96 * 1024 * 1024));
    await eventually(async () => expect(await ask('-n', namespace, 'get', 'events')).toMatch(/ResizeCompleted/));
  });
});
