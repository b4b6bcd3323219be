import { services } from '@naru/api';
import { createMetrics, serveHealth, silentLogger, systemClock, type Clock } from '@naru/foundation';
import { eventually, MemoryObjects } from '@naru/testing';
import { describeHealth, healthChecks } from './health';
import { createProxyMetrics } from './metrics';
import { ServiceProxy } from './service-proxy';

let ahead = 0;
const clock: Clock = {
  now: () => systemClock.now() + ahead,
  after: (ms, callback) => systemClock.after(ms, callback),
  sleep: (ms, signal) => systemClock.sleep(ms, signal),
};

test('/healthz says 503 when changes wait for their rules too long, and 200 when they are written; /readyz waits for the first', async () => {
  let refuses = true;
  const api = new MemoryObjects();
  const informers = api.informers();
  const stopping = new AbortController();
  const registry = createMetrics();
  const rules = {
    sync: () => (refuses ? Promise.reject(new Error('the kernel refuses')) : Promise.resolve()),
    cleanup: () => Promise.resolve(),
  };
  const proxy = new ServiceProxy({
    nodeName: 'node-1',
    families: [{ family: 'IPv4', rules }],
    informers,
    run: () => Promise.resolve(''),
    metrics: createProxyMetrics(registry),
    followers: [],
    clock,
    logger: silentLogger,
    minSyncPeriodMs: 1,
    fullSyncPeriodMs: 3_600_000,
  });
  const health = await serveHealth({
    address: '127.0.0.1:0',
    metrics: registry,
    ...healthChecks(proxy, undefined, clock),
    describe: () => describeHealth(proxy, clock),
  });
  const ask = async (path: string): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`http://127.0.0.1:${health.port}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  try {
    await api.create(services, {
      metadata: { namespace: 'default', name: 'web' },
      spec: { clusterIP: '10.96.0.10', ports: [{ port: 80 }] },
    });
    await informers.start(stopping.signal);
    proxy.start();
    const failed = /kubeproxy_sync_proxy_rules_failures_total{ip_family="IPv4"} [1-9]/;
    await eventually(async () => expect((await ask('/metrics')).text).toMatch(failed));
    expect((await ask('/healthz')).status).toBe(200);
    expect(await ask('/readyz')).toMatchObject({
      status: 500,
      text: expect.stringContaining('have not been written yet') as string,
    });
    ahead = 61_000;
    await eventually(async () => expect((await ask('/healthz')).status).toBe(503));
    expect(JSON.parse((await ask('/healthz')).text)).toMatchObject({ lastUpdated: null });
    refuses = false;
    await eventually(async () => expect((await ask('/healthz')).status).toBe(200));
    expect(JSON.parse((await ask('/healthz')).text)).toMatchObject({
      lastUpdated: expect.stringMatching(/^\d{4}-/) as string,
      nodeEligible: true,
    });
    expect((await ask('/readyz')).status).toBe(200);
  } finally {
    stopping.abort();
    await proxy.stop();
    await health.close();
  }
});
