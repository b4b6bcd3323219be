import type { AnyDefinition, KubeObject } from '@naru/api';
import { statusSteps } from './status-steps';
import { mergePatch, okJson } from '../testing/expect-reply';
import { collectionOf, sampleOf, storedKinds } from '../testing/stored-kinds';
import { eventually, startTestServer, type Reply, type TestServer } from '../testing/test-server';
import { watch } from '../testing/watch';

// The calls of upstream's tests "should support ... API operations" and "should run the lifecycle of ...", for every kind.
let api: TestServer;
const namespace = 'samples';
beforeAll(async () => {
  api = await startTestServer();
  await api.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  await api.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } });
});
afterAll(() => api.close());

const label = 'e2e-life';
const query = `labelSelector=${label}%3Dtrue`;

/** What has to be different in each of several objects of kinds whose names say what they are, or in any of them. */
const distinct: Record<string, (number: number) => object> = {
  // Others have no addresses of balancers in their status.
  Service: () => ({ ...generated, spec: { type: 'LoadBalancer' } }),
  IPAddress: number => ({ metadata: { name: `10.77.0.${number}` } }),
  CustomResourceDefinition: number => ({
    metadata: { name: `pears${number}.sample.example.com` },
    spec: { names: { plural: `pears${number}`, singular: `pear${number}`, kind: `Pear${number}` } },
  }),
  APIService: number => ({
    metadata: { name: `v1.elsewhere${number}.example.com` },
    spec: { group: `elsewhere${number}.example.com` },
  }),
};

function merged(base: object, change: object): object {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(change) as [string, unknown][]) {
    const before = result[key];
    const both = [before, value].every(v => typeof v === 'object' && v !== null && !Array.isArray(v));
    result[key] = both ? merged(before as object, value as object) : value;
  }
  return result;
}

const generated = { metadata: { name: undefined, generateName: 'e2e-life-' } };

function oneOfMany(definition: AnyDefinition, number: number): KubeObject {
  const own = distinct[definition.type.kind]?.(number) ?? generated;
  return merged(sampleOf(definition), merged(own, { metadata: { labels: { [label]: 'true' } } })) as KubeObject;
}

const present = async (collection: string): Promise<Reply['json'][]> =>
  (await okJson(api.call('GET', `${collection}?${query}`)))['items'] as Reply['json'][];

/** What no controller is here to do: finalizers go, namespaces are let go of. */
async function letGo(collection: string, kind: string): Promise<void> {
  for (const { metadata, spec } of await present(collection)) {
    if (!metadata.deletionTimestamp) continue;
    const url = `${collection}/${metadata.name}`;
    if (kind === 'Namespace') await api.call('PUT', `${url}/finalize`, { metadata, spec: { ...spec, finalizers: [] } });
    else if (metadata.finalizers) await api.call('PATCH', url, { metadata: { finalizers: null } }, mergePatch);
  }
}

async function deleted(collection: string, kind: string, remaining: number): Promise<void> {
  await eventually(async () => {
    await letGo(collection, kind);
    return (await present(collection)).length === remaining;
  });
}

test.each(storedKinds)('$name is discovered at each level', async ({ definition }) => {
  const { group, version, resource } = definition.type;
  const root = group === '' ? '/api' : `/apis/${group}`;
  if (group !== '') {
    const { groups } = await okJson(api.call('GET', '/apis'));
    const listed = (groups as { name: string; versions: object[] }[]).find(({ name }) => name === group);
    expect(listed?.versions).toContainEqual({ groupVersion: `${group}/${version}`, version });
    const alone = await okJson(api.call('GET', root));
    expect(alone).toMatchObject({ kind: 'APIGroup', name: group });
    expect(alone['preferredVersion']).toEqual(listed && (listed as Reply['json'])['preferredVersion']);
  }
  const { resources } = await okJson(api.call('GET', `${root}/${version}`));
  const names = (resources as { name: string }[]).map(({ name }) => name);
  const { status, scale } = definition.subresources;
  expect(names).toEqual(
    expect.arrayContaining([
      resource,
      ...(status ? [`${resource}/status`] : []),
      ...(scale ? [`${resource}/scale`] : []),
    ]),
  );
});

test.each(storedKinds)(
  '$name lives from creation to the deletion of a collection',
  async ({ name, kind, definition }) => {
    const collection = collectionOf(definition, namespace);
    const everywhere = collectionOf(definition);
    for (const number of [1, 2]) await okJson(api.call('POST', collection, oneOfMany(definition, number)), 201);
    const created = await okJson(api.call('POST', collection, oneOfMany(definition, 3)), 201);
    const { uid } = created['metadata'];
    const url = `${collection}/${created['metadata'].name}`;
    expect((await okJson(api.call('GET', url)))['metadata'].uid).toBe(uid);
    expect(await present(collection)).toHaveLength(3);
    const all = await okJson(api.call('GET', `${everywhere}?${query}`));
    expect(all['items']).toHaveLength(3);

    const { resourceVersion } = all['metadata'];
    const watched = watch(api, `${everywhere}?${query}&resourceVersion=${resourceVersion}`);
    const patched = await okJson(
      api.call('PATCH', url, { metadata: { annotations: { patched: 'true' } } }, mergePatch),
    );
    expect(patched['metadata'].annotations).toMatchObject({ patched: 'true' });
    const updated = await write(url, '', object => ({
      metadata: { annotations: { ...notes(object), updated: 'true' } },
    }));
    expect(updated['metadata'].annotations).toMatchObject({ patched: 'true', updated: 'true' });
    await watched.until('MODIFIED', ({ metadata }) => metadata.uid === uid && metadata.annotations?.updated === 'true');

    if (definition.subresources.status) await changeStatus(name, url, uid as string);

    await okJson(api.call('DELETE', `${url}?gracePeriodSeconds=0`));
    await deleted(collection, kind, 2);
    await okJson(api.call('GET', url), 404);
    await watched.until('DELETED', ({ metadata }) => metadata.uid === uid);
    watched.stop();
    // Upstream has no such verb for these either.
    const hasCollections = definition.verbs.includes('deletecollection');
    if (hasCollections) await okJson(api.call('DELETE', `${collection}?${query}&gracePeriodSeconds=0`));
    else
      for (const { metadata } of await present(collection))
        await okJson(api.call('DELETE', `${collection}/${metadata.name}`));
    await deleted(collection, kind, 0);
  },
);

const notes = (object: Reply['json']): Record<string, string> => object['metadata'].annotations ?? {};

/** Reads, changes and writes the object, again when somebody else was faster. */
async function write(
  url: string,
  subresource: string,
  change: (object: Reply['json']) => object,
): Promise<Reply['json']> {
  const reply = await eventually(async () => {
    const object = await okJson(api.call('GET', url));
    const answer = await api.call('PUT', `${url}${subresource}`, merged(object, change(object)));
    return answer.code === 409 ? undefined : answer;
  });
  return okJson(Promise.resolve(reply));
}

async function changeStatus(name: string, url: string, uid: string): Promise<void> {
  const steps = statusSteps[name];
  if (!steps) throw new Error(`there is no status to write for ${name}`);
  const before = await okJson(api.call('GET', `${url}/status`));
  expect(before['metadata'].uid).toBe(uid);
  const body = { metadata: { annotations: { patchedstatus: 'true' } }, status: steps.patch };
  const patched = await okJson(api.call('PATCH', `${url}/status`, body, mergePatch));
  expect(patched['status']).toMatchObject(steps.patch);
  expect(patched['spec']).toEqual(before['spec']);
  const updated = await write(url, '/status', () => ({ status: steps.update }));
  expect(updated['status']).toMatchObject(steps.update);
  expect(updated['spec']).toEqual(before['spec']);
  // What is said of the status elsewhere counts for nothing; the server may have written conditions of its own to it.
  const elsewhere = await write(url, '', object => ({
    metadata: { annotations: { ...notes(object), again: 'true' } },
    status: null,
  }));
  const { conditions = [], ...rest } = steps.update as { conditions?: object[] };
  for (const { status } of [elsewhere, await okJson(api.call('GET', `${url}/status`))]) {
    expect(status).toMatchObject(rest);
    expect(status.conditions ?? []).toEqual(expect.arrayContaining(conditions.map(c => expect.objectContaining(c))));
  }
}
