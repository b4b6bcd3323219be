import fs from 'node:fs';
import path from 'node:path';
import { configMaps, nodes, runtimeClasses, secrets, type Container, type Pod, type Stored } from '@naru/api';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { TestNode, forever, nodeName, patient, shell, whyNot } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`user namespace tests are skipped: ${skipped}\n`);

const length = 65_536;

withRoot('a pod with a user namespace', () => {
  let node: TestNode;
  let kubelet: Kubelet;

  beforeAll(async () => {
    node = await TestNode.create();
    kubelet = await node.startKubelet();
  });

  afterAll(() => node?.close());

  const directory = (name: string): string => {
    const made = node.file(name);
    fs.mkdirSync(made);
    return made;
  };
  const rangeFile = (pod: Stored<Pod>): string => path.join(node.rootDir, 'pods', pod.metadata.uid, 'userns');
  const firstId = (pod: Stored<Pod>): number =>
    (JSON.parse(fs.readFileSync(rangeFile(pod), 'utf8')) as { uidMappings: { hostId: number }[] }).uidMappings[0]
      ?.hostId ?? 0;

  /** Of all of a pod's processes whose ids are mapped to such, who they are on the machine. */
  function usersOnNode(uid: string, first: number): number[] {
    return fs
      .readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .flatMap(pid => {
        try {
          if (!fs.readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(uid)) return [];
          if (!new RegExp(`^\\s*0\\s+${first}\\s+${length}\\s*$`).test(fs.readFileSync(`/proc/${pid}/uid_map`, 'utf8')))
            return [];
          return [Number(/^Uid:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])];
        } catch {
          return []; // it has just ended
        }
      });
  }

  it('is root inside and nobody outside, and everything that it mounts looks as in other pods', async () => {
    await node.api.create(configMaps, { metadata: { name: 'config', namespace: 'default' }, data: { key: 'value' } });
    await node.api.create(secrets, {
      metadata: { name: 'secret', namespace: 'default' },
      data: { key: Buffer.from('hidden').toString('base64') },
    });
    const host = directory('host');
    fs.writeFileSync(path.join(host, 'file'), 'on the node\n', { mode: 0o600 });
    const volumeMounts = [
      ...['disk', 'memory', 'config', 'secret', 'all', 'host'].map(name => ({ name, mountPath: `/${name}` })),
      { name: 'disk', mountPath: '/part', subPath: 'sub/dir' },
      { name: 'image', mountPath: '/image' },
    ];
    const writer: Partial<Container> = { name: 'init', volumeMounts };
    const pod = await node.create('mapped', {
      hostUsers: false,
      securityContext: { fsGroup: 4321 },
      initContainers: [shell('echo first > /disk/first && id -u > /dev/termination-log', writer)],
      containers: [
        shell(forever, {
          volumeMounts,
          readinessProbe: { exec: { command: ['test', '-e', '/disk/second'] }, ...patient },
        }),
        shell(`echo second > /disk/second; ${forever}`, {
          name: 'other',
          volumeMounts,
          securityContext: { runAsUser: 1000, runAsGroup: 1000 },
        }),
      ],
      volumes: [
        { name: 'disk', emptyDir: {} },
        { name: 'memory', emptyDir: { medium: 'Memory' } },
        { name: 'config', configMap: { name: 'config' } },
        { name: 'secret', secret: { secretName: 'secret', defaultMode: 0o640 } },
        {
          name: 'all',
          projected: {
            sources: [{ downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } }],
          },
        },
        { name: 'host', hostPath: { path: host, type: 'Directory' } },
        { name: 'image', image: { reference: 'docker.io/library/busybox:test', pullPolicy: 'IfNotPresent' } },
      ],
    });
    const ready = await node.untilReady('mapped');
    expect(ready.status?.initContainerStatuses?.[0]?.state?.terminated?.message).toBe('0\n');
    const first = firstId(pod);
    // A probe that is about to join the pod has still the OCI runtime's own user.
    await eventually(() =>
      expect(new Set(usersOnNode(pod.metadata.uid, first))).toEqual(new Set([first, first + 1000])),
    );
    const inside = (script: string): Promise<string> => node.exec('mapped', 'sh', '-c', script);
    expect(await inside('tr -s " " < /proc/self/uid_map; tr -s " " < /proc/self/gid_map; id -u')).toBe(
      ` 0 ${first} ${length}\n 0 ${first} ${length}\n0`,
    );
    expect(
      await inside('cat /config/key /secret/key /all/name /host/file /part/../part/x 2>/dev/null; cat /disk/first'),
    ).toBe('valuehiddenmappedon the node\nfirst');
    expect(await inside('stat -c "%u %g %n" / /bin/busybox /etc/hosts /image/bin/busybox /host/file /disk/first')).toBe(
      [
        '0 0 /',
        '0 0 /bin/busybox',
        '0 0 /etc/hosts',
        '0 0 /image/bin/busybox',
        '0 0 /host/file',
        '0 4321 /disk/first',
      ].join('\n'),
    );
    expect(await inside('stat -L -c "%u %g %a" /secret/key /config/key; stat -c "%u %g" /disk/second')).toBe(
      '0 4321 640\n0 4321 644\n1000 4321',
    );
    expect(
      await inside('echo more > /host/more; echo x > /memory/x; echo y > /part/y; cat /disk/sub/dir/y /memory/x'),
    ).toBe('y\nx');
    expect(fs.statSync(path.join(host, 'more')).uid).toBe(0);
    await node.delete('mapped');
    expect(usersOnNode(pod.metadata.uid, first)).toEqual([]);
    expect(node.mountPoints().filter(place => place.includes(pod.metadata.uid))).toEqual([]);
  });

  it('has ids that no other pod has, over restarts of kubelet and runtime, and gives them back', async () => {
    const stays = shell(forever, { readinessProbe: { exec: { command: ['true'] }, ...patient } });
    const pods = await Promise.all(
      ['one', 'two'].map(name => node.create(name, { hostUsers: false, containers: [stays] })),
    );
    const untilBoth = () => Promise.all(['one', 'two'].map(name => node.untilReady(name)));
    await untilBoth();
    const firsts = pods.map(firstId);
    expect(Math.abs((firsts[0] as number) - (firsts[1] as number))).toBeGreaterThanOrEqual(length);
    const map = (name: string): Promise<string> => node.exec(name, 'cat', '/proc/self/uid_map');
    await node.stopKubelet(kubelet);
    await node.stopRuntime();
    await node.startRuntime();
    kubelet = await node.startKubelet();
    await untilBoth();
    expect(pods.map(firstId)).toEqual(firsts);
    // A container that starts anew joins the user namespace that its pod had before.
    const restarts = async (): Promise<number> =>
      (await node.get('one')).status?.containerStatuses?.[0]?.restartCount ?? 0;
    const before = await restarts();
    await node.exec('one', 'kill', '1');
    await eventually(async () => expect(await restarts()).toBeGreaterThan(before));
    await untilBoth();
    expect(await map('one')).toContain(String(firsts[0]));
    expect(await map('two')).toContain(String(firsts[1]));
    await Promise.all(['one', 'two'].map(name => node.delete(name)));
    expect(pods.map(pod => fs.existsSync(rangeFile(pod)))).toEqual([false, false]);
  });

  it('has every capability in its own namespaces, and none on the node', async () => {
    const capable = { capabilities: { add: ['ALL'] } };
    await Promise.all([
      node.create('capable', { hostUsers: false, containers: [shell(forever, { securityContext: capable })] }),
      node.create('unmasked', {
        hostUsers: false,
        containers: [shell(forever, { securityContext: { procMount: 'Unmasked' } })],
      }),
      node.create('plain', { hostUsers: true, containers: [shell(forever)] }),
    ]);
    await Promise.all(['capable', 'unmasked', 'plain'].map(name => node.untilReady(name)));
    const capableIn = (script: string): Promise<string> => node.exec('capable', 'sh', '-c', script);
    expect(await capableIn('grep CapEff /proc/self/status')).not.toMatch(/CapEff:\s+0+$/);
    expect(
      await capableIn('mount -t tmpfs none /mnt 2>&1 || mkdir /m && mount -t tmpfs none /m && echo mounted'),
    ).toContain('mounted');
    expect(await capableIn('ip link set lo down && ip link set lo up && echo changed')).toBe('changed');
    expect(await capableIn('mknod /disk b 8 0')).toContain('Operation not permitted');
    expect(await capableIn('date -s 2001-01-01')).toContain('Operation not permitted');
    // procMount: with a masked /proc another one cannot be mounted, with an unmasked one it can.
    const masked = (name: string): Promise<string> => node.exec(name, 'sh', '-c', 'grep -c " /proc/" /proc/mounts');
    expect(await masked('unmasked')).toBe('0');
    expect(Number(await masked('capable'))).toBeGreaterThan(0);
    expect(await node.exec('plain', 'sh', '-c', 'tr -s " " < /proc/self/uid_map')).toBe(' 0 0 4294967295');
    await Promise.all(['capable', 'unmasked', 'plain'].map(name => node.delete(name)));
  });

  it('is refused when the handler of its RuntimeClass cannot have one, and the Node tells which can', async () => {
    const { status } = await node.api.get(nodes, { name: nodeName });
    expect(status?.features).toEqual({ supplementalGroupsPolicy: true });
    expect(status?.runtimeHandlers?.find(({ name }) => name === '')?.features).toEqual({
      recursiveReadOnlyMounts: expect.any(Boolean),
      userNamespaces: true,
    });
    await node.api.create(runtimeClasses, { metadata: { name: 'strange' }, handler: 'strange' });
    await node.create('refused', { hostUsers: false, runtimeClassName: 'strange', containers: [shell(forever)] });
    await eventually(async () =>
      expect(await node.events('refused')).toContainEqual({
        reason: 'FailedCreatePodSandBox',
        message:
          'Failed to create pod sandbox: can\'t set `spec.hostUsers: false`, RuntimeClass handler "strange" does not support user namespaces: the handler "strange" is not known',
      }),
    );
    await node.delete('refused');
  });

  it('has the groups of its image under the policy Merge and only its own under Strict, and shows them', async () => {
    const groups = async (supplementalGroupsPolicy: 'Merge' | 'Strict', hostUsers: boolean) => {
      const name = `${supplementalGroupsPolicy.toLowerCase()}-${hostUsers}`;
      const securityContext = {
        runAsUser: 1001,
        runAsGroup: 1001,
        supplementalGroups: [2000],
        supplementalGroupsPolicy,
      };
      await node.create(name, { hostUsers, securityContext, containers: [shell(forever)] });
      const pod = await node.untilReady(name);
      const shown = pod.status?.containerStatuses?.[0]?.user?.linux;
      const inside = (await node.exec(name, 'id', '-G')).split(' ').map(Number);
      await node.delete(name);
      return { shown, inside };
    };
    const [merge, strict, mapped] = await Promise.all([
      groups('Merge', true),
      groups('Strict', true),
      groups('Strict', false),
    ]);
    const linux = { uid: 1001, gid: 1001 };
    expect(merge).toEqual({ shown: { ...linux, supplementalGroups: [1001, 1003, 2000] }, inside: [1001, 1003, 2000] });
    expect(strict).toEqual({ shown: { ...linux, supplementalGroups: [1001, 2000] }, inside: [1001, 2000] });
    expect(mapped).toEqual(strict);
  });
});
