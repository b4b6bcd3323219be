import { readFileSync } from 'node:fs';
import path from 'node:path';
import { apiVersionOf, definitions, type AnyDefinition } from '@naru/api';
import { ok } from './testing/expect-reply';
import { collectionOf as collectionIn, sampleOf, storedKinds } from './testing/stored-kinds';
import { eventually, startTestServer, type Reply, type TestServer } from './testing/test-server';
import { watch } from './testing/watch';

// Each kind that is stored against each verb that it has, by the REST API alone.
let api: TestServer;
const namespace = 'samples';
const collectionOf = (definition: AnyDefinition): string => collectionIn(definition, namespace);
beforeAll(async () => {
  api = await startTestServer();
  await api.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  await api.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } });
});
afterAll(() => api.close());

/** These are only overwritten by who has seen them. */
const needVersion = new Set(
  `APIService CSIDriver CSINode CSIStorageCapacity CustomResourceDefinition FlowSchema Lease MutatingAdmissionPolicy
  MutatingAdmissionPolicyBinding MutatingWebhookConfiguration PodDisruptionBudget PriorityLevelConfiguration RuntimeClass
  ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration VolumeAttachment`.split(
    /\s+/,
  ),
);

const labels = (reply: Reply): unknown => reply.json.metadata?.labels;

test.each(storedKinds)('$name answers every verb that it has', async ({ definition, apiVersion, kind }) => {
  const collection = collectionOf(definition);
  const sample = sampleOf(definition);
  const url = `${collection}/${sample.metadata?.name}`;
  const patch = (type: string, body: object, query = '') =>
    api.call('PATCH', `${url}${query}`, body, { headers: { 'content-type': `application/${type}` } });

  await ok(api.call('POST', `${collection}?dryRun=All`, sample), 201);
  await ok(api.call('GET', url), 404);
  const created = await ok(api.call('POST', collection, sample), 201);
  expect(created.json).toMatchObject({ apiVersion, kind, metadata: { name: sample.metadata?.name } });
  await ok(api.call('POST', collection, sample), 409);
  // Status controllers of the server itself may write too.
  expect((await ok(api.call('GET', url))).json.metadata.uid).toBe(created.json.metadata.uid);

  const list = await ok(api.call('GET', `${collection}?fieldSelector=metadata.name=${sample.metadata?.name}`));
  expect(list.json).toMatchObject({ apiVersion, kind: `${kind}List`, items: [{ metadata: sample.metadata }] });
  const revision = list.json.metadata.resourceVersion as string;
  const watched = watch(api, `${collection}?resourceVersion=${revision}&labelSelector=step`);

  const json = await ok(patch('json-patch+json', [{ op: 'add', path: '/metadata/labels', value: { step: 'json' } }]));
  expect(labels(json)).toMatchObject({ step: 'json' });
  await watched.until('ADDED');
  watched.stop();
  expect(labels(await ok(patch('merge-patch+json', { metadata: { labels: { step: 'merge' } } })))).toMatchObject({
    step: 'merge',
  });
  const strategic = { metadata: { labels: { step: 'strategic' } } };
  expect(labels(await ok(patch('strategic-merge-patch+json', strategic)))).toMatchObject({ step: 'strategic' });
  const applied = { apiVersion, kind, metadata: { labels: { applied: 'yes' } } };
  const apply = await ok(patch('apply-patch+yaml', applied, '?fieldManager=tester&fieldValidation=Strict'));
  expect(labels(apply)).toMatchObject({ applied: 'yes' });
  expect(apply.json.metadata.managedFields).toContainEqual(
    expect.objectContaining({ manager: 'tester', operation: 'Apply', apiVersion }),
  );

  const read = async (): Promise<Reply['json']> => {
    const { json } = await ok(api.call('GET', url));
    json.metadata.labels.step = 'update';
    return json;
  };
  const put = (object: Reply['json'], resourceVersion?: string): Promise<Reply> =>
    api.call('PUT', url, { ...object, metadata: { ...object['metadata'], resourceVersion } });
  const current = await read();
  expect((await put(current)).code).toBe(needVersion.has(kind) ? 422 : 200);
  const answer = await eventually(async () => {
    const latest = await read();
    const reply = await put(latest, needVersion.has(kind) ? (latest['metadata'].resourceVersion as string) : undefined);
    return reply.code === 409 ? undefined : reply;
  });
  const updated = await ok(Promise.resolve(answer));
  expect(labels(updated)).toMatchObject({ step: 'update' });
  await ok(put(current, '1'), 409);
  if (definition.subresources.status) {
    await ok(api.call('GET', `${url}/status`));
    const note = { metadata: { annotations: { patchedstatus: 'true' } }, spec: { nonsense: 'x' } };
    const headers = { 'content-type': 'application/merge-patch+json' };
    const status = await ok(api.call('PATCH', `${url}/status?fieldValidation=Ignore`, note, { headers }));
    expect(status.json.spec).toEqual(updated.json.spec);
  }

  await ok(api.call('DELETE', `${url}?gracePeriodSeconds=0`));
  if (kind === 'Namespace') return;
  // Volumes and claims are held until their controllers, which are not here, let them go.
  const release = async (): Promise<void> => {
    const free = (): Promise<Reply> => patch('merge-patch+json', { metadata: { finalizers: null } });
    // A definition's own finalizer may be gone meanwhile.
    if ((await api.call('GET', url)).json.metadata?.finalizers) expect([200, 404]).toContain((await free()).code);
  };
  await release();
  await eventually(async () => (await api.call('GET', url)).code === 404);
  await ok(api.call('POST', collection, { ...sample, metadata: { ...sample.metadata, labels: { last: 'one' } } }), 201);
  await ok(api.call('DELETE', `${collection}?labelSelector=last&gracePeriodSeconds=0`));
  await release();
  await eventually(async () => (await api.call('GET', url)).code === 404);
});

test.each(storedKinds)('$name has a table with the name first, and its own metadata alone', async ({ definition }) => {
  const accept = (as: string) => ({ headers: { accept: `application/json;as=${as};v=v1;g=meta.k8s.io` } });
  const collection = collectionOf(definition);
  const table = (await ok(api.call('GET', collection, undefined, accept('Table')))).json;
  expect(table.kind).toBe('Table');
  expect(table.columnDefinitions.map((c: { name: string }) => c.name)).toEqual(definition.columns.map(c => c.name));
  const partial = await ok(api.call('GET', collection, undefined, accept('PartialObjectMetadataList')));
  expect(partial.json.kind).toBe('PartialObjectMetadataList');
});

test.each(storedKinds)('nulls do not hurt a new $name', async ({ definition }) => {
  const sample = sampleOf(definition) as unknown as Record<string, unknown>;
  const holes = holed(sample);
  expect(holes.length).toBeGreaterThan(0);
  for (const body of holes) {
    const { code, text } = await api.call('POST', `${collectionOf(definition)}?dryRun=All`, body);
    expect(code >= 500 ? text : '').toBe('');
  }
});

test.each([{}, { spec: {} }, { spec: { containers: null } }, { spec: { containers: [null] } }])(
  'a pod like %j is refused, and no failure of the server',
  async body => {
    const { code, json } = await api.call('POST', `/api/v1/namespaces/${namespace}/pods`, {
      metadata: { name: 'p' },
      ...body,
    });
    expect(code).toBe(422);
    expect(json.message).toContain('spec.containers');
  },
);

test('the reference of kinds names each with its verbs and subresources', () => {
  const reference = readFileSync(path.join(__dirname, '../../../docs/reference/kinds.md'), 'utf8');
  const listed = reference.split('\n').map(line =>
    line
      .split('|')
      .slice(1, -2)
      .map(cell => cell.trim())
      .join(' | '),
  );
  for (const { type, shortNames, verbs, subresources } of definitions) {
    const { status, scale, special = [] } = subresources;
    const below = [...(status ? ['status'] : []), ...(scale ? ['scale'] : []), ...special].sort();
    const all = [...verbs, ...(verbs.includes('patch') ? ['apply'] : [])].sort();
    const row = [`${apiVersionOf(type)} ${type.kind}`, shortNames.join(', '), all.join(' '), below.join(' ')];
    expect(listed).toContain(row.join(' | '));
  }
});

/** The object with each of its values replaced by null, one at a time; its metadata is like any other's. */
function holed(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  const variants: unknown[] = [];
  for (const [key, child] of Object.entries(value)) {
    if (key === 'metadata' || key === 'apiVersion' || key === 'kind') continue;
    const wrap = (replacement: unknown): unknown =>
      Array.isArray(value)
        ? value.map((item: unknown, index) => (String(index) === key ? replacement : item))
        : { ...value, [key]: replacement };
    variants.push(wrap(null), ...holed(child).map(wrap));
    if (Array.isArray(child)) variants.push(wrap([null]));
  }
  if (variants.length === 0) variants.push({ ...value, spec: null });
  return variants;
}
