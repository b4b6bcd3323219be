import { definitions } from '@naru/api';
import { eventually } from '@naru/testing';
import { kindSamples } from '../testing/kind-samples';
import { describeKubectl, Kubectl } from '../testing/kubectl';
import { startTestServer, type TestServer } from '../testing/test-server';

// Every stored kind at once through each command of kubectl: a run takes a tenth of a second.
describeKubectl('kubectl with every kind', () => {
  let api: TestServer;
  let kubectl: Kubectl;
  let all: string;
  const namespaced = ['-n', 'samples'];
  const lines = (text: string): string[] => text.trim().split('\n');

  beforeAll(async () => {
    api = await startTestServer();
    kubectl = new Kubectl(api);
    await kubectl.ask('create', 'namespace', 'samples');
    await kubectl.ask(...namespaced, 'create', 'serviceaccount', 'default');
    all = kubectl.file('all.json', { apiVersion: 'v1', kind: 'List', items: kindSamples });
  });
  afterAll(() => api.close());

  test('diff shows what is not there yet', async () => {
    const shown = await kubectl.run([...namespaced, 'diff', '-f', all]).catch((error: { stdout: string }) => error);
    expect(shown.stdout.match(/^\+kind: /gm)).toHaveLength(kindSamples.length);
  });

  test('apply creates each, and then finds each as it was', async () => {
    expect(lines(await kubectl.ask(...namespaced, 'apply', '-f', all)).filter(l => / created$/.test(l))).toHaveLength(
      kindSamples.length,
    );
    const versions = async (): Promise<string> =>
      kubectl.ask(...namespaced, 'get', '-f', all, '-o', 'jsonpath={.items[*].metadata.resourceVersion}');
    // Status controllers of the server itself may have come between.
    await eventually(async () => {
      const before = await versions();
      const again = lines(await kubectl.ask(...namespaced, 'apply', '-f', all));
      // kubectl says "configured" where it sent defaults inside of atomic lists again; the server sees no change.
      expect(again.filter(line => line.endsWith(' unchanged')).length).toBeGreaterThan(40);
      expect(await versions()).toBe(before);
    });
  });

  test('get shows each, by name and as a wide table', async () => {
    const names = lines(await kubectl.ask(...namespaced, 'get', '-f', all, '-o', 'name'));
    expect(names).toHaveLength(kindSamples.length);
    const table = await kubectl.ask(...namespaced, 'get', '-f', all, '-o', 'wide');
    for (const { metadata } of kindSamples) expect(table).toContain(metadata?.name);
  });

  test('server-side apply takes each over', async () => {
    const applied = await kubectl.ask(...namespaced, 'apply', '--server-side', '--force-conflicts', '-f', all);
    expect(lines(applied).filter(line => line.endsWith(' serverside-applied'))).toHaveLength(kindSamples.length);
  });

  test('label, annotate and patch change each', async () => {
    const count = async (...args: string[]): Promise<number> => lines(await kubectl.ask(...namespaced, ...args)).length;
    expect(await count('label', '-f', all, 'tier=test')).toBe(kindSamples.length);
    expect(await count('annotate', '-f', all, 'note=test')).toBe(kindSamples.length);
    const patch = JSON.stringify({ metadata: { labels: { patched: 'yes' } } });
    for (const type of ['strategic', 'merge'])
      expect(await count('patch', '-f', all, `--type=${type}`, '-p', patch)).toBe(kindSamples.length);
    const add = JSON.stringify([{ op: 'add', path: '/metadata/labels/json', value: 'yes' }]);
    expect(await count('patch', '-f', all, '--type=json', '-p', add)).toBe(kindSamples.length);
  });

  test('describe tells of each', async () => {
    // Of these kubectl 1.32 asks for versions that were betas then.
    const betas = ['IPAddress', 'ServiceCIDR', 'VolumeAttributesClass'];
    const items = kindSamples.filter(({ kind }) => !betas.includes(kind ?? ''));
    const file = kubectl.file('described.json', { apiVersion: 'v1', kind: 'List', items });
    const text = await kubectl.ask(...namespaced, 'describe', '-f', file);
    expect(text.match(/^Name: +\S/gm)?.length).toBeGreaterThanOrEqual(items.length);
  });

  test('replace puts each back', async () => {
    await eventually(async () => {
      const live = JSON.parse(await kubectl.ask(...namespaced, 'get', '-f', all, '-o', 'json')) as object;
      const file = kubectl.file('live.json', live);
      const replaced = lines(await kubectl.ask(...namespaced, 'replace', '-f', file));
      expect(replaced.filter(line => line.endsWith(' replaced'))).toHaveLength(kindSamples.length);
    });
  });

  test('explain knows the fields of each', async () => {
    const stored = definitions.filter(({ verbs }) => verbs.includes('watch'));
    const explained = new Map<string, string>();
    const queue = stored.values();
    const work = async (): Promise<void> => {
      for (const { type } of queue) {
        const version = type.group === '' ? type.version : `${type.group}/${type.version}`;
        explained.set(
          `${version} ${type.kind}`,
          await kubectl.ask('explain', type.resource, `--api-version=${version}`, '--recursive'),
        );
      }
    };
    await Promise.all(Array.from({ length: 4 }, work));
    for (const [name, text] of explained) {
      expect(text).toContain(`KIND:       ${name.split(' ')[1]}`);
      expect(text).toContain('metadata');
    }
    expect(explained.size).toBe(stored.length);
  });

  test('delete removes each', async () => {
    const deleted = lines(await kubectl.ask(...namespaced, 'delete', '-f', all, '--wait=false', '--now'));
    expect(deleted.filter(line => / deleted/.test(line))).toHaveLength(kindSamples.length);
    const left = await kubectl.ask(...namespaced, 'get', '-f', all, '--ignore-not-found', '-o', 'name');
    // These wait for a controller, and a definition for the objects of its kind.
    const waiting = ['namespace/', 'persistentvolume/', 'persistentvolumeclaim/', 'customresourcedefinition'];
    expect(lines(left).filter(name => !waiting.some(prefix => name.startsWith(prefix)))).toEqual([]);
  });

  test('api-resources lists each with its short names', async () => {
    const rows = lines(await kubectl.ask('api-resources', '--no-headers', '-o', 'wide'));
    const shown = rows.map(row => row.split(/\s+/));
    for (const { type, shortNames } of definitions) {
      const version = type.group === '' ? type.version : `${type.group}/${type.version}`;
      const row = shown.find(cells => cells[0] === type.resource && cells.includes(version));
      // Of several versions the preferred one is listed.
      if (version === 'autoscaling/v1') continue;
      expect(row?.join(' ')).toContain(shortNames.length === 0 ? type.resource : shortNames.join(','));
      expect(row?.join(' ')).toContain(`${version} ${type.namespaced} ${type.kind}`);
    }
  });
});
