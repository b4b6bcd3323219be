import { StatusError } from '@naru/foundation';
import { withdrawMetrics } from './withdraw-metrics';

/** An API with a Service of this specification, or with none. */
function apiWith(spec?: object): { deleted: string[]; request: <T>(method: string, path: string) => Promise<T> } {
  const deleted: string[] = [];
  const request = async <T>(method: string, path: string): Promise<T> => {
    if (!spec) throw new StatusError('NotFound', 'not found');
    if (method === 'DELETE') deleted.push(path.split('/').at(-1) ?? '');
    return { spec } as T;
  };
  return { deleted, request };
}

test('the API of a metrics-server that is wanted no more goes with its Service', async () => {
  const api = apiWith({ ports: [] });
  await withdrawMetrics(api);
  expect(api.deleted).toEqual(['v1beta1.metrics.k8s.io', 'metrics-server']);
});

test('a metrics-server that somebody runs on the cluster is left alone, and none is no error', async () => {
  const own = apiWith({ selector: { app: 'metrics-server' } });
  await withdrawMetrics(own);
  await withdrawMetrics(apiWith());
  expect(own.deleted).toEqual([]);
});
