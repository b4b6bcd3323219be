import { eventually } from '@naru/testing';
import { apply, ask, withNamespace } from './cluster';

/** Columns of the row that begins with `name`, of a table without its header. */
function rowOf(table: string, name: string): string[] {
  const row = table.split('\n').find(line => line.startsWith(`${name} `));
  if (!row) throw new Error(`no row for ${name} in:\n${table}`);
  return row.trim().split(/\s+/);
}

test('kubectl top shows what nodes and containers use', async () => {
  await withNamespace('top', async namespace => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'burner', namespace },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'main',
            image: 'naru.dev/web:v1',
            imagePullPolicy: 'Never',
            command: ['sh', '-c', 'while :; do :; done'],
            resources: { limits: { cpu: '200m' } },
          },
        ],
      },
    };
    await apply(JSON.stringify(pod));
    await eventually(
      async () => {
        const table = await ask('top', 'pod', '-n', namespace, '--containers', '--no-headers');
        const usage = rowOf(table, 'burner');
        expect(usage.slice(0, 2)).toEqual(['burner', 'main']);
        const millicores = Number(/^(\d+)m$/.exec(usage[2] ?? '')?.[1]);
        // Its limit, give or take a period of the scheduler of processes; less when the machine is busy.
        expect(millicores).toBeGreaterThan(20);
        expect(millicores).toBeLessThan(260);
      },
      90_000,
      200,
    );
    // It may be another node than the pod's, and one that did not answer the last time has no figures.
    await eventually(async () => {
      const nodes = await ask('top', 'node', '--no-headers');
      expect(rowOf(nodes, 'worker-1')[1]).toMatch(/^\d+m$/);
    });
    await eventually(async () => {
      const raw = await ask('get', '--raw', `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods/burner`);
      expect(JSON.parse(raw)).toMatchObject({ kind: 'PodMetrics', containers: [{ name: 'main' }] });
    });
  });
});
