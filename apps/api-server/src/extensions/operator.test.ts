import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { eventually, startTestServer, type TestServer } from '../testing/test-server';

const example = path.resolve(__dirname, '../../../../examples/operator');
const load = (file: string): unknown => parse(readFileSync(path.join(example, file), 'utf8'));
const sites = '/apis/example.naru.dev/v1/namespaces/default/sites';
const configMap = '/api/v1/namespaces/default/configmaps/hello';
const deployment = '/apis/apps/v1/namespaces/default/deployments/hello';

describe('the operator example', () => {
  let api: TestServer;
  let operator: ChildProcess;
  let output = '';

  beforeAll(async () => {
    api = await startTestServer();
    await api.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', load('crd.yaml'));
    await eventually(async () => (await api.call('GET', sites)).code === 200 || undefined);
    operator = spawn(process.execPath, [path.join(example, 'operator.mjs')], {
      env: { ...process.env, KUBECONFIG: api.files.kubeconfig },
    });
    for (const stream of [operator.stdout, operator.stderr]) stream?.on('data', chunk => (output += String(chunk)));
    await eventually(() => {
      if (operator.exitCode !== null) throw new Error(output);
      return output.includes('watching') || undefined;
    });
  });
  afterAll(async () => {
    operator.kill();
    await api.close();
  });

  const get = async (url: string): Promise<Record<string, never> | undefined> => {
    const { code, json } = await api.call('GET', url);
    return code === 200 ? (json as Record<string, never>) : undefined;
  };

  test('makes of a resource what it stands for, keeps it so, and tells its status', async () => {
    expect((await api.call('POST', sites, load('site.yaml'))).code).toBe(201);
    const made = await eventually(() => get(deployment));
    expect(made).toMatchObject({
      spec: { replicas: 2 },
      metadata: { ownerReferences: [{ kind: 'Site', name: 'hello' }] },
    });
    const page = await eventually(() => get(configMap));
    expect(page).toMatchObject({ data: { 'index.html': 'Hello from an operator.' } });
    await eventually(async () => {
      const site = await get(`${sites}/hello`);
      return (
        (site?.['status'] as { conditions?: { status: string }[] } | undefined)?.conditions?.[0]?.status === 'False'
      );
    });

    const headers = { 'content-type': 'application/merge-patch+json' };
    await api.call('PATCH', `${sites}/hello/scale`, { spec: { replicas: 0 } }, { headers });
    await eventually(async () => {
      const site = (await get(`${sites}/hello`)) as { status?: { conditions?: { status: string }[] } } | undefined;
      const scaled = (await get(deployment)) as { spec?: { replicas: number } } | undefined;
      return scaled?.spec?.replicas === 0 && site?.status?.conditions?.[0]?.status === 'True';
    });

    await api.call('DELETE', configMap);
    await eventually(() => get(configMap));
  });
});
