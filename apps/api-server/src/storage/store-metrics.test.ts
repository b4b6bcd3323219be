import { Registry } from 'prom-client';
import { StoreMetrics } from './store-metrics';

test('what the store is asked is counted, with what fails and how long it takes', async () => {
  const registry = new Registry();
  const metrics = new StoreMetrics(registry);
  const pods = { group: '', resource: 'pods' };
  expect(await metrics.measure('create', pods, () => Promise.resolve('answer'))).toBe('answer');
  const failure = new Error('away');
  await expect(metrics.measure('create', pods, () => Promise.reject(failure))).rejects.toBe(failure);
  const text = await registry.metrics();
  const labels = '{operation="create",group="",resource="pods"}';
  for (const line of [`etcd_requests_total${labels} 2`, `etcd_request_errors_total${labels} 1`])
    expect(text).toContain(line);
  expect(text).toContain(`etcd_request_duration_seconds_count${labels} 2`);
});
