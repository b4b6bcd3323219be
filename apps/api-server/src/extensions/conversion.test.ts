import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { isDefinitionConditionTrue, type CustomResourceDefinition, type KubeObject } from '@naru/api';
import { Authority, createAuthority } from '@naru/pki';
import { mergePatch, okJson } from '../testing/expect-reply';
import { eventually, startTestServer, type Reply, type TestServer } from '../testing/test-server';
import { watch } from '../testing/watch';
import { widgetDefinition } from '../testing/widget-definition';

type Widget = KubeObject & { spec: Record<string, unknown>; size?: string };

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const name = 'widgets.example.com';
const at = (version: string): string => `/apis/example.com/${version}/namespaces/default/widgets`;

/** v1 says spec.size, v2 says it at the top. */
function convert(object: Widget, desired: string): Widget {
  const { spec, size, ...rest } = object;
  if (desired.endsWith('/v2')) return { ...rest, apiVersion: desired, size: String(spec['size']), spec: {} };
  return { ...rest, apiVersion: desired, spec: { ...spec, size: size ?? 'small' } };
}

interface Webhook {
  port: number;
  ca: string;
  calls: number;
  fail: string | undefined;
  close(): Promise<void>;
}

async function startWebhook(): Promise<Webhook> {
  const authority = await Authority.load(await createAuthority());
  const { certificate, key } = await authority.issue({
    subject: { commonName: 'webhook' },
    usages: ['server'],
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
  });
  const webhook: Webhook = {
    port: 0,
    ca: authority.certificate,
    calls: 0,
    fail: undefined,
    close: async () => undefined,
  };
  const server = https.createServer({ cert: certificate, key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      webhook.calls++;
      const {
        apiVersion,
        kind,
        request: asked,
      } = JSON.parse(Buffer.concat(chunks).toString()) as {
        apiVersion: string;
        kind: string;
        request: { uid: string; desiredAPIVersion: string; objects: Widget[] };
      };
      const result = webhook.fail ? { status: 'Failed', message: webhook.fail } : { status: 'Success' };
      const convertedObjects = asked.objects.map(object => convert(object, asked.desiredAPIVersion));
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ apiVersion, kind, response: { uid: asked.uid, result, convertedObjects } }));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  webhook.port = (server.address() as AddressInfo).port;
  webhook.close = () =>
    new Promise(resolve => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return webhook;
}

function twoVersions(change: (crd: CustomResourceDefinition) => void = () => undefined): CustomResourceDefinition {
  return widgetDefinition(crd => {
    const [v1] = crd.spec.versions;
    delete v1!.schema!.openAPIV3Schema!.properties!['spec']!['x-kubernetes-validations'];
    const v2 = structuredClone(v1!);
    Object.assign(v2, {
      name: 'v2',
      storage: false,
      additionalPrinterColumns: [],
      selectableFields: [{ jsonPath: '.size' }],
    });
    const schema = v2.schema!.openAPIV3Schema!;
    schema.properties!['size'] = { type: 'string', default: 'small' };
    delete schema.properties!['spec']!.required;
    crd.spec.versions.push(v2);
    change(crd);
  });
}

let api: TestServer;
beforeEach(async () => {
  api = await startTestServer();
});
afterEach(() => api.close());

async function define(crd: CustomResourceDefinition): Promise<CustomResourceDefinition> {
  const reply = await api.call('POST', definitions, crd);
  expect(reply.json['message']).toBeUndefined();
  return eventually(async () => {
    const { json } = await api.call('GET', `${definitions}/${name}`);
    const current = json as unknown as CustomResourceDefinition;
    const isServed = (await api.call('GET', at('v1'))).code === 200;
    return isDefinitionConditionTrue(current, 'Established') && isServed ? current : undefined;
  });
}

const widget = (version: string, more: object): object => ({
  apiVersion: `example.com/${version}`,
  kind: 'Widget',
  metadata: { name: 'a' },
  ...more,
});

test('without a webhook versions differ in name and schema only', async () => {
  await define(twoVersions());
  const groups = await api.call('GET', '/apis/example.com');
  expect(groups.json).toMatchObject({ preferredVersion: { version: 'v2' } });
  expect((await api.call('POST', at('v2'), widget('v2', { size: 'large', spec: { size: 'small' } }))).code).toBe(201);
  expect((await api.call('GET', `${at('v2')}/a`)).json).toMatchObject({ apiVersion: 'example.com/v2', size: 'small' });
  expect((await api.call('GET', `${at('v1')}/a`)).json).toMatchObject({
    apiVersion: 'example.com/v1',
    spec: { size: 'small' },
  });
  const list = await api.call('GET', at('v2'));
  expect(list.json).toMatchObject({
    kind: 'WidgetList',
    apiVersion: 'example.com/v2',
    items: [{ apiVersion: 'example.com/v2' }],
  });
});

test('a version that is no longer stored must stay until its objects are rewritten', async () => {
  const crd = await define(twoVersions());
  await api.call('POST', at('v1'), widget('v1', { spec: { size: 'small' } }));
  for (const version of crd.spec.versions) version.storage = version.name === 'v2';
  const changed = await api.call('PUT', `${definitions}/${name}`, crd);
  expect(changed.json).toMatchObject({ status: { storedVersions: ['v1', 'v2'] } });
  const current = changed.json as unknown as CustomResourceDefinition;
  const gone = { ...current, spec: { ...current.spec, versions: current.spec.versions.slice(1) } };
  const refused = await api.call('PUT', `${definitions}/${name}`, {
    ...gone,
    metadata: { ...gone.metadata, resourceVersion: undefined },
  });
  expect(refused.json['message']).toContain(
    'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions',
  );
  // What is stored in v1 is readable in both, and writing it without a change moves it.
  await eventually(async () => (await api.call('GET', `${at('v2')}/a`)).code === 200 || undefined);
  const object = (await api.call('GET', `${at('v2')}/a`)).json as unknown as Widget;
  const moved = (await api.call('PUT', `${at('v2')}/a`, object)).json as unknown as Widget;
  expect(moved.metadata?.resourceVersion).not.toBe(object.metadata?.resourceVersion);
});

describe('with a webhook', () => {
  let webhook: Webhook;
  beforeEach(async () => {
    webhook = await startWebhook();
    await define(
      twoVersions(crd => {
        crd.spec.conversion = {
          strategy: 'Webhook',
          webhook: {
            clientConfig: {
              url: `https://127.0.0.1:${webhook.port}/convert`,
              caBundle: Buffer.from(webhook.ca).toString('base64'),
            },
            conversionReviewVersions: ['v1'],
          },
        };
      }),
    );
  });
  afterEach(() => webhook.close());

  test('objects are read, written, listed and watched in either version', async () => {
    const created = await api.call('POST', at('v2'), widget('v2', { size: 'large', spec: {} }));
    expect([created.code, created.json]).toMatchObject([201, { apiVersion: 'example.com/v2', size: 'large' }]);
    expect((await api.call('GET', `${at('v1')}/a`)).json).toMatchObject({ spec: { size: 'large' } });
    const list = (await api.call('GET', at('v2'))).json as unknown as {
      metadata: { resourceVersion: string };
      items: Widget[];
    };
    expect(list.items).toMatchObject([{ apiVersion: 'example.com/v2', size: 'large' }]);
    const before = webhook.calls;
    await api.call('GET', at('v2'));
    expect(webhook.calls).toBe(before);
    const watched = watch(api, `${at('v2')}?resourceVersion=${list.metadata.resourceVersion}`);
    await api.call(
      'PATCH',
      `${at('v1')}/a`,
      { spec: { size: 'small' } },
      {
        headers: { 'content-type': 'application/merge-patch+json' },
      },
    );
    const { object } = await watched.until('MODIFIED');
    expect(object).toMatchObject({ apiVersion: 'example.com/v2', size: 'small' });
    const fromNow = watch(api, at('v2'));
    const present = await fromNow.until('ADDED');
    expect(Object.entries(present.object).slice(0, 2)).toEqual([
      ['kind', 'Widget'],
      ['apiVersion', 'example.com/v2'],
    ]);
    expect((await api.call('DELETE', `${at('v2')}/a`)).code).toBe(200);
    await watched.until('DELETED');
    expect(watched.events.map(({ type }) => type)).toEqual(['MODIFIED', 'DELETED']);
    for (const { stop } of [watched, fromNow]) stop();
  });

  test('fields of the version that is asked choose what is listed, watched and deleted', async () => {
    const small = `${at('v2')}?fieldSelector=size%3Dsmall`;
    const create = (called: string, size: string): Promise<Reply['json']> =>
      okJson(api.call('POST', at('v2'), { ...widget('v2', { size, spec: {} }), metadata: { name: called } }), 201);
    const before = await create('before', 'small');
    await create('large', 'large');
    const watched = [small, `${small}&resourceVersion=${before['metadata'].resourceVersion}`].map(url =>
      watch(api, url),
    );
    await watched[0]!.until('ADDED', ({ metadata }) => metadata.name === 'before');
    await create('after', 'small');
    const names = async (): Promise<string[]> =>
      ((await okJson(api.call('GET', small)))['items'] as Reply['json'][]).map(
        ({ metadata }) => metadata.name as string,
      );
    expect(await names()).toEqual(['after', 'before']);
    await okJson(api.call('PATCH', `${at('v2')}/after`, { size: 'large' }, mergePatch));
    await okJson(api.call('DELETE', small));
    expect(await names()).toEqual([]);
    expect(
      ((await okJson(api.call('GET', at('v1'))))['items'] as Reply['json'][]).map(({ spec }) => spec.size),
    ).toEqual(['large', 'large']);
    const changes = ['ADDED after small', 'DELETED after small', 'DELETED before small'];
    for (const [i, { events, stop }] of watched.entries()) {
      const all = i === 0 ? ['ADDED before small', ...changes] : changes;
      await eventually(() => events.length === all.length);
      expect(events.map(({ type, object }) => `${type} ${object['metadata'].name} ${object['size']}`)).toEqual(all);
      stop();
    }
  });

  test('its failure is told in the words of upstream, and concerns the other version only', async () => {
    await api.call('POST', at('v1'), widget('v1', { spec: { size: 'small' } }));
    webhook.fail = 'cannot do that';
    const reply = await api.call('GET', `${at('v2')}/a`);
    expect([reply.code, reply.json['message']]).toEqual([
      500,
      'conversion webhook for example.com/v1, Kind=Widget failed: cannot do that',
    ]);
    expect((await api.call('GET', `${at('v1')}/a`)).code).toBe(200);
    await webhook.close();
    expect((await api.call('GET', at('v2'))).code).toBe(500);
  });
});
