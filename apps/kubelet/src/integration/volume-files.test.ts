import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { configMaps, nodes, pods, secrets, type Container, type Pod, type Volume } from '@naru/api';
import { eventually } from '@naru/testing';
import { TestNode, forever, nodeName, shell, whyNot } from './test-node';

// What upstream's tests of ConfigMap, Secret, projected and downward API volumes, of emptyDir and of sub paths look at, as seen by
// containers. The pods of a test start side by side; each shows many volumes at once.
const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`tests of the files in volumes are skipped: ${skipped}\n`);

type Sources = NonNullable<NonNullable<Volume['projected']>['sources']>;
type Items = NonNullable<NonNullable<Volume['configMap']>['items']>;

const base64 = (text: string): string => Buffer.from(text).toString('base64');
/** Every byte there is, so that none is taken for text. */
const binary = Buffer.from([...Array(256).keys()]).toString('base64');

/** The same content in each kind of volume that shows what objects say. */
const kinds: Record<string, (name: string, mode?: number, items?: Items) => Volume> = {
  configMap: (name, defaultMode, items) => ({
    name,
    configMap: { name: 'settings', ...given({ defaultMode, items }) },
  }),
  secret: (name, defaultMode, items) => ({
    name,
    secret: { secretName: 'settings', ...given({ defaultMode, items }) },
  }),
  projectedConfigMap: (name, mode, items) =>
    projected(name, [{ configMap: { name: 'settings', ...given({ items }) } }], mode),
  projectedSecret: (name, mode, items) =>
    projected(name, [{ secret: { name: 'settings', ...given({ items }) } }], mode),
  downwardAPI: (name, defaultMode, items) => ({
    name,
    downwardAPI: { items: labelled(items), ...given({ defaultMode }) },
  }),
  projectedDownwardAPI: (name, mode, items) => projected(name, [{ downwardAPI: { items: labelled(items) } }], mode),
};

function given<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function projected(name: string, sources: Sources, defaultMode?: number): Volume {
  return { name, projected: { sources, ...given({ defaultMode }) } };
}

function labelled(items: Items = [{ key: 'color', path: 'color' }]) {
  return items.map(({ key, ...rest }) => ({ ...rest, fieldRef: { fieldPath: `metadata.labels['${key}']` } }));
}

/** A container that has each of the volumes below /v. */
function showing(volumes: readonly Volume[], more: Partial<Container> = {}): Partial<NonNullable<Pod['spec']>> {
  const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/v/${name}` }));
  return { volumes: [...volumes], containers: [shell(forever, { volumeMounts, ...more })] };
}

withRoot('files in volumes', () => {
  let node: TestNode;

  beforeAll(async () => {
    node = await TestNode.create();
    await node.startKubelet();
    await eventually(() => node.api.get(nodes, { name: nodeName }));
    const metadata = { name: 'settings', namespace: 'default' };
    node.api.seed(configMaps, { metadata, data: { color: 'blue', size: 'l' }, binaryData: { bytes: binary } });
    node.api.seed(secrets, { metadata, data: { color: base64('blue'), size: base64('l'), bytes: binary } });
  });

  afterAll(() => node?.close());

  const run = (name: string, script: string) => node.exec(name, 'sh', '-c', script);
  const stat = (name: string, file: string) => run(name, `stat -L -c '%a %u %g' ${file}`);

  async function start(input: Record<string, Partial<NonNullable<Pod['spec']>>>): Promise<void> {
    for (const [name, spec] of Object.entries(input)) {
      const { metadata, spec: whole } = podOf(name, spec);
      await node.api.create(pods, { metadata, spec: whole });
    }
    await Promise.all(Object.keys(input).map(name => node.untilReady(name)));
  }

  const podOf = (name: string, spec: Partial<NonNullable<Pod['spec']>>) => ({
    metadata: { name, namespace: 'default', labels: { color: 'blue', size: 'l' } },
    spec: {
      ...{ nodeName, terminationGracePeriodSeconds: 1, tolerations: [{ operator: 'Exists' }] },
      ...{ containers: [], ...spec },
    },
  });

  const end = (...names: string[]) => Promise.all(names.map(name => node.delete(name)));

  it('have the modes, owners and places that were asked for, in every kind of volume', async () => {
    const mapped = (mode?: number): Items => [{ key: 'color', path: 'deep/er/name', ...given({ mode }) }];
    const all = Object.entries(kinds).flatMap(([kind, make]) => [
      make(`${kind}-plain`.toLowerCase()),
      make(`${kind}-mode`.toLowerCase(), 0o400),
      make(`${kind}-mapped`.toLowerCase(), undefined, mapped()),
      make(`${kind}-item`.toLowerCase(), 0o444, mapped(0o400)),
      // A second volume of the same object.
      make(`${kind}-twice`.toLowerCase()),
    ]);
    const readable = Object.entries(kinds).map(([kind, make]) => make(kind.toLowerCase(), 0o440));
    await start({
      root: showing(all),
      other: { ...showing(readable), securityContext: { runAsUser: 1000, fsGroup: 1001 } },
      user: { ...showing(all.filter(({ name }) => /plain|mapped$/.test(name))), securityContext: { runAsUser: 1000 } },
    });
    const wanted: Record<string, Record<string, string>> = { root: {}, other: {}, user: {} };
    for (const kind of Object.keys(kinds).map(each => each.toLowerCase())) {
      const at = (variant: string, file = 'color') => `/v/${kind}-${variant}/${file}`;
      Object.assign(wanted['root'] as object, {
        [at('plain')]: '644 0 0 blue',
        [at('mode')]: '400 0 0 blue',
        [at('mapped', 'deep/er/name')]: '644 0 0 blue',
        [at('item', 'deep/er/name')]: '400 0 0 blue',
        [at('twice')]: '644 0 0 blue',
      });
      Object.assign(wanted['other'] as object, { [`/v/${kind}/color`]: '440 0 1001 blue' });
      Object.assign(wanted['user'] as object, {
        [at('plain')]: '644 0 0 blue',
        [at('mapped', 'deep/er/name')]: '644 0 0 blue',
      });
    }
    for (const [name, files] of Object.entries(wanted)) {
      const script = `for f in ${Object.keys(files).join(' ')}; do echo "$f $(stat -L -c '%a %u %g' $f) $(cat $f)"; done`;
      const lines = Object.entries(files).map(([file, what]) => `${file} ${what}`);
      expect((await run(name, script)).split('\n')).toEqual(lines);
    }
    expect(await run('root', 'ls -d /v/*-mapped/*')).not.toContain('color');
    expect(await run('user', 'for d in /v/*; do touch $d/mine && echo $d; done 2>/dev/null')).toBe('');
    // Every byte is as it was.
    const sums = await run('root', 'cat /v/*-plain/bytes | md5sum');
    const bytes = Buffer.concat(Array<Buffer>(4).fill(Buffer.from(binary, 'base64')));
    expect(sums.split(' ')[0]).toBe(createHash('md5').update(bytes).digest('hex'));
    await end('root', 'other', 'user');
  });

  it('follow their objects: what changes, what goes, and optional ones that come and go', async () => {
    const key = (name: string) => ({ name, namespace: 'default' });
    const [both, absent] = [
      { optional: true, name: 'changing' },
      { optional: true, name: 'absent' },
    ];
    const items = [{ key: 'missing', path: 'missing' }];
    const said = ['labels', 'annotations'].map(what => ({ path: what, fieldRef: { fieldPath: `metadata.${what}` } }));
    const metadata = key('changing');
    await node.api.create(configMaps, { metadata, data: { value: '1', leaves: 'x' } });
    await node.api.create(secrets, { metadata, data: { value: base64('1'), leaves: base64('x') } });
    const volumes: Volume[] = [
      { name: 'map', configMap: both },
      { name: 'secret', secret: { secretName: 'changing', optional: true } },
      projected('projected', [{ configMap: both }, { secret: absent }]),
      { name: 'no-map', configMap: absent },
      { name: 'no-secret', secret: { secretName: 'absent', optional: true } },
      { name: 'no-key', configMap: { ...both, items } },
      { name: 'said', downwardAPI: { items: said } },
      projected('said-too', [{ downwardAPI: { items: said } }]),
    ];
    await start({ follows: showing(volumes) });
    const files = (volume: string) => run('follows', `cd /v/${volume} && for f in *; do echo $f=$(cat $f 2>&1); done`);
    expect(await files('map')).toBe('leaves=x\nvalue=1');
    for (const volume of ['said', 'said-too'])
      expect(await files(volume)).toBe('annotations=\nlabels=color="blue" size="l"');
    for (const empty of ['no-map', 'no-secret', 'no-key']) expect(await run('follows', `ls /v/${empty}`)).toBe('');

    const merge = (body: object) => ({ type: 'merge' as const, body });
    const changed = { labels: { color: 'red', size: null }, annotations: { builder: 'foo' } };
    await Promise.all([
      node.api.patch(configMaps, metadata, merge({ data: { value: '2', leaves: null, missing: 'here' } })),
      node.api.patch(secrets, metadata, merge({ data: { value: base64('2'), leaves: null } })),
      node.api.create(configMaps, { metadata: key('absent'), data: { late: 'a' } }),
      node.api.create(secrets, { metadata: key('absent'), data: { late: base64('b') } }),
      node.api.patch(pods, key('follows'), merge({ metadata: changed })),
    ]);
    const until = (volume: string, wanted: string) =>
      eventually(async () => expect({ [volume]: await files(volume) }).toEqual({ [volume]: wanted }));
    await until('map', 'missing=here\nvalue=2');
    await until('secret', 'value=2');
    await until('projected', 'late=b\nmissing=here\nvalue=2');
    await until('no-map', 'late=a');
    await until('no-secret', 'late=b');
    await until('no-key', 'missing=here');
    for (const volume of ['said', 'said-too']) await until(volume, 'annotations=builder="foo"\nlabels=color="red"');

    await Promise.all([configMaps, secrets].map(type => node.api.delete(type, key('absent'))));
    await node.api.delete(configMaps, metadata);
    for (const gone of ['map', 'no-map', 'no-secret', 'no-key'])
      await eventually(async () => expect(await run('follows', `ls /v/${gone}`)).toBe(''));
    await until('projected', "*=cat: can't open '*': No such file or directory");
    await end('follows');
  });

  it('of emptyDir have every mode for everybody, in memory and on disk, and are shared by containers', async () => {
    const volumes: Volume[] = [
      { name: 'disk', emptyDir: {} },
      { name: 'memory', emptyDir: { medium: 'Memory' } },
    ];
    const mounts = volumes.map(({ name }) => ({ name, mountPath: `/v/${name}` }));
    const second = shell(forever, { name: 'second', volumeMounts: mounts });
    const spec = showing(volumes);
    await start({
      'by-root': { ...spec, containers: [...(spec.containers ?? []), second] },
      'by-user': { ...spec, securityContext: { runAsUser: 1000 } },
      'by-group': { ...spec, securityContext: { runAsUser: 1000, fsGroup: 123 } },
    });
    for (const [name, user] of [
      ['by-root', 0],
      ['by-user', 1000],
    ] as const) {
      for (const { name: volume } of volumes) {
        expect(await stat(name, `/v/${volume}`)).toBe('777 0 0');
        for (const mode of ['644', '666', '777']) {
          const file = `/v/${volume}/${mode}`;
          expect(await run(name, `echo content > ${file} && chmod ${mode} ${file} && cat ${file}`)).toBe('content');
          expect(await stat(name, file)).toBe(`${mode} ${user} 0`);
        }
      }
      const types = await run(name, "awk '$2 ~ /^.v./ { print $2, $3 }' /proc/mounts | sort");
      expect(types).toMatch(/^\/v\/disk (?!tmpfs)\S+\n\/v\/memory tmpfs$/);
    }
    for (const { name: volume } of volumes) {
      expect(await stat('by-group', `/v/${volume}`)).toBe('2777 0 123');
      expect(await run('by-group', `echo x > /v/${volume}/new && stat -c %g /v/${volume}/new`)).toBe('123');
    }
    // What one container writes the other reads.
    const { status } = await node.get('by-root');
    expect(status?.containerStatuses?.map(({ name }) => name)).toEqual(['main', 'second']);
    expect(await node.execIn('by-root', 'second', 'cat', '/v/disk/666', '/v/memory/777')).toBe('content\ncontent');
    await end('by-root', 'by-user', 'by-group');
  });

  it('are mounted one by one by subPath, over files that exist too', async () => {
    const volumes = Object.entries(kinds).map(([kind, make]) => make(kind.toLowerCase()));
    const volumeMounts = [
      ...volumes.map(({ name }) => ({ name, mountPath: `/one/${name}`, subPath: 'color' })),
      { name: 'configmap', mountPath: '/etc/passwd', subPath: 'size' },
      { name: 'secret', mountPath: '/etc/group', subPath: 'color', readOnly: true },
      { name: 'scratch', mountPath: '/made', subPath: 'made/below' },
      { name: 'scratch', mountPath: '/whole' },
    ];
    const all = [...volumes, { name: 'scratch', emptyDir: {} }];
    await start({ parts: { volumes: all, containers: [shell(forever, { volumeMounts })] } });
    for (const { name } of volumes) expect(await run('parts', `cat /one/${name}`)).toBe('blue');
    expect(await run('parts', 'cat /etc/passwd; echo; cat /etc/group')).toBe('l\nblue');
    expect(await run('parts', 'echo x > /etc/group')).toContain('Read-only file system');
    expect(await run('parts', 'echo x > /made/file && cat /whole/made/below/file')).toBe('x');
    // One file is what it was when the container started, whatever its object says later.
    await end('parts');
  });

  it('of fifty config maps in each of several pods come about side by side, without any getting in the way of another', async () => {
    const numbers = [...Array(50).keys()];
    for (const number of numbers)
      node.api.seed(configMaps, {
        metadata: { name: `many-${number}`, namespace: 'default' },
        data: { n: `${number}` },
      });
    const volumes = numbers.map(number => ({ name: `m${number}`, configMap: { name: `many-${number}` } }));
    const names = ['race-1', 'race-2', 'race-3'];
    await start(Object.fromEntries(names.map(name => [name, showing(volumes)])));
    for (const name of names) {
      expect(await run(name, 'cat /v/*/n | wc -c')).toBe(String(numbers.join('').length));
      const reasons = (await node.events(name)).map(({ reason }) => reason);
      expect(reasons).not.toContain('FailedMount');
    }
    await end(...names);
  });

  it('never lead a subPath to the node, however quickly a container swaps directories for links', async () => {
    const outside = node.file('outside');
    await fs.mkdir(outside);
    await fs.writeFile(path.join(outside, 'secret'), 'of the node');
    // As a link in the volume it means another place to the node than to the container.
    const swap = `cd /v/shared && mkdir -p dir && echo mine > dir/secret && echo ready > started
      while :; do mv -T dir kept; ln -s ${outside} dir; rm -rf dir; mv -T kept dir; done 2>/dev/null`;
    const host = node.file('shared');
    await fs.mkdir(host);
    const shared: Volume = { name: 'shared', hostPath: { path: host } };
    await start({ swapper: showing([shared], { command: ['/bin/sh', '-c', swap] }) });
    await eventually(() => fs.stat(path.join(host, 'started')));
    const reader = (subPath: string) =>
      shell('cat /got/secret 2>&1; sleep 0.1', {
        volumeMounts: [{ name: 'shared', mountPath: '/got', subPath }],
      });
    const names = [...Array(4).keys()].map(number => `victim-${number}`);
    for (const name of names) {
      const containers = [...Array(6).keys()].map(number => ({
        ...reader(number % 2 ? 'dir' : 'dir/deep'),
        name: `c${number}`,
        terminationMessagePolicy: 'FallbackToLogsOnError' as const,
      }));
      await node.create(name, { volumes: [shared], containers });
    }
    const said = async (): Promise<string> => {
      const got = await Promise.all(
        names.map(async name => {
          const { metadata } = await node.get(name);
          const logs = path.join(node.rootDir, 'logs', `default_${name}_${metadata.uid}`);
          const files = await fs.readdir(logs, { recursive: true, withFileTypes: true });
          const texts = files.filter(each => each.isFile()).map(each => path.join(each.parentPath, each.name));
          return (await Promise.all(texts.map(file => fs.readFile(file, 'utf8')))).join('');
        }),
      );
      return got.join('');
    };
    // Some containers were started, some more than once, and some were refused.
    const heard = await eventually(async () => {
      const all = await Promise.all(names.map(name => node.get(name)));
      const statuses = all.flatMap(({ status }) => status?.containerStatuses ?? []);
      expect(statuses).toHaveLength(24);
      for (const { restartCount, state } of statuses) expect(restartCount > 0 || state?.waiting?.reason).toBeTruthy();
      const words = await said();
      expect(words).toContain('mine');
      return words;
    });
    expect(heard).not.toContain('of the node');
    expect(await fs.readdir(outside)).toEqual(['secret']);
    await end('swapper', ...names);
  });
});
