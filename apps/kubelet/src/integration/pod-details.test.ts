import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { pods, type Container, type Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { TestNode, forever, heeding, image, shell, whyNot } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`pod tests are skipped: ${skipped}\n`);

withRoot('a pod', () => {
  let node: TestNode;

  beforeAll(async () => {
    node = await TestNode.create();
    await node.startKubelet(['--allowed-unsafe-sysctls=kernel.msg*']);
  });

  afterAll(() => node?.close());

  const statusOf = async (name: string) => (await node.get(name)).status?.containerStatuses?.[0];

  it('takes an ephemeral container, which joins the processes of its target and is never restarted', async () => {
    await node.create('debugged', { containers: [shell(forever)] });
    await node.untilReady('debugged');
    const ephemeralContainers = [
      { name: 'debugger', image, imagePullPolicy: 'Never', command: ['ps', '-o', 'args'], targetContainerName: 'main' },
    ];
    const key = { namespace: 'default', name: 'debugged' };
    await node.api.patch(pods, key, { type: 'merge', body: { spec: { ephemeralContainers } } });
    const status = await eventually(async () => {
      const [found] = (await node.get('debugged')).status?.ephemeralContainerStatuses ?? [];
      expect(found?.state?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
      return found;
    });
    expect(status).toMatchObject({ name: 'debugger', restartCount: 0, ready: false });
    const logs = path.join(node.rootDir, 'logs', `default_debugged_${(await node.get('debugged')).metadata.uid}`);
    expect(await fs.readFile(path.join(logs, 'debugger/0.log'), 'utf8')).toMatch(/stdout F .*trap "exit 0" TERM/);
    expect(await statusOf('debugged')).toMatchObject({ restartCount: 0, ready: true });
    await node.delete('debugged');
  });

  it('restarts a container by its own rules, whatever the policy of the pod', async () => {
    const rules: Partial<Container> = {
      restartPolicy: 'Never',
      restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
    };
    await node.create('rules', {
      restartPolicy: 'Never',
      volumes: [{ name: 'state', emptyDir: {} }],
      containers: [
        shell('if [ -e /state/once ]; then exit 7; fi; touch /state/once; exit 42', {
          ...rules,
          volumeMounts: [{ name: 'state', mountPath: '/state' }],
        }),
      ],
    });
    await eventually(async () => expect((await node.get('rules')).status?.phase).toBe('Failed'));
    expect(await statusOf('rules')).toMatchObject({ restartCount: 1, state: { terminated: { exitCode: 7 } } });
    await node.delete('rules');
  });

  it('restarts all its containers in place when a rule of one wants it, init containers first', async () => {
    const volumeMounts = [{ name: 'state', mountPath: '/state' }];
    const restartPolicyRules = [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } }];
    const once = 'until [ -e /state/other ]; do sleep 0.1; done; if [ $(wc -l </state/runs) = 1 ]; then exit 42; fi';
    const preStop = { exec: { command: ['touch', '/state/hooked'] } };
    await node.create('again', {
      restartPolicy: 'Never',
      volumes: [{ name: 'state', emptyDir: {} }],
      initContainers: [shell('echo run >>/state/runs', { name: 'first', volumeMounts })],
      containers: [
        shell(`${once}; ${forever}`, { name: 'asks', restartPolicy: 'Never', restartPolicyRules, volumeMounts }),
        shell(`touch /state/other; ${forever}`, { name: 'other', lifecycle: { preStop }, volumeMounts }),
      ],
    });
    const before = await eventually(async () => {
      const { status } = await node.get('again');
      expect(status?.podIP).toBeDefined();
      return status;
    });
    const after = await eventually(async () => {
      const { status } = await node.get('again');
      expect(status?.containerStatuses?.map(each => [each.name, each.restartCount, each.ready])).toEqual([
        ['asks', 1, true],
        ['other', 1, true],
      ]);
      expect(status?.conditions).toContainEqual(
        expect.objectContaining({ type: 'AllContainersRestarting', status: 'False' }),
      );
      return status;
    });
    expect(after?.containerStatuses?.map(({ lastState }) => lastState?.terminated?.exitCode)).toEqual([42, 137]);
    expect(after?.initContainerStatuses).toMatchObject([{ restartCount: 1, state: { terminated: { exitCode: 0 } } }]);
    expect(after?.podIP).toBe(before?.podIP);
    expect(await node.execIn('again', 'asks', 'ls', '/state')).toBe('other\nruns');
    await node.delete('again');
  });

  it('that is deleted by force leaves its room to the next at once, while its containers still end', async () => {
    const resources = { requests: { cpu: `${Math.floor(os.availableParallelism() * 600)}m` } };
    const stubborn = 'trap "" TERM; while :; do sleep 1 & wait; done';
    const spec = { terminationGracePeriodSeconds: 5, containers: [shell(stubborn, { resources })] };
    await node.create('forced', spec);
    await node.untilReady('forced');
    await node.api.delete(pods, { namespace: 'default', name: 'forced' }, { gracePeriodSeconds: 0 });
    await node.create('next', { containers: [shell(forever, { resources })] });
    await node.untilReady('next');
    await node.delete('next');
  });

  it('gets the signal that its lifecycle names, and shows it', async () => {
    const seen = node.file('signal');
    await fs.mkdir(seen);
    await node.create('signalled', {
      terminationGracePeriodSeconds: 120,
      volumes: [{ name: 'seen', hostPath: { path: seen } }],
      containers: [
        heeding('trap "touch /seen/usr1; exit 0" USR1; trap "" TERM', {
          lifecycle: { stopSignal: 'SIGUSR1' },
          volumeMounts: [{ name: 'seen', mountPath: '/seen' }],
        }),
      ],
    });
    await node.untilReady('signalled');
    expect((await statusOf('signalled'))?.stopSignal).toBe('SIGUSR1');
    await node.api.delete(pods, { namespace: 'default', name: 'signalled' });
    await eventually(() => expect(node.get('signalled')).rejects.toThrow('not found'));
    expect(await fs.readdir(seen)).toEqual(['usr1']);
  });

  it('ends its sidecars after its other containers, the last one first', async () => {
    const order = node.file('order');
    await fs.mkdir(order);
    const telling = (name: string, more: Partial<Container> = {}): Container =>
      heeding(`trap "echo ${name} >> /order/ends; exit 0" TERM`, {
        name,
        volumeMounts: [{ name: 'order', mountPath: '/order' }],
        ...more,
      });
    await node.create('ordered', {
      terminationGracePeriodSeconds: 120,
      volumes: [{ name: 'order', hostPath: { path: order } }],
      initContainers: [telling('first', { restartPolicy: 'Always' }), telling('second', { restartPolicy: 'Always' })],
      containers: [telling('main')],
    });
    await node.untilReady('ordered');
    await node.api.delete(pods, { namespace: 'default', name: 'ordered' });
    await eventually(() => expect(node.get('ordered')).rejects.toThrow('not found'));
    expect(await fs.readFile(path.join(order, 'ends'), 'utf8')).toBe('main\nsecond\nfirst\n');
  });

  it('is confined by a seccomp profile of this node, and waits for one that is missing', async () => {
    const folder = path.join(node.rootDir, 'seccomp');
    await fs.mkdir(folder, { recursive: true });
    const confined = (localhostProfile: string) =>
      node.create('confined', {
        securityContext: { seccompProfile: { type: 'Localhost', localhostProfile } },
        containers: [shell(forever)],
      });
    await confined('missing.json');
    await eventually(async () => {
      const waiting = (await statusOf('confined'))?.state?.waiting;
      expect(waiting?.reason).toBe('CreateContainerError');
      expect(waiting?.message).toContain(`cannot load seccomp profile "${folder}/missing.json"`);
    });
    await node.delete('confined');
    const syscalls = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }];
    const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls };
    await fs.writeFile(path.join(folder, 'no-mkdir.json'), JSON.stringify(profile));
    await confined('no-mkdir.json');
    await node.untilReady('confined');
    expect(await node.exec('confined', 'sh', '-c', 'touch /file && mkdir /directory')).toMatch(
      /can't create directory '\/directory': Operation not permitted/,
    );
    await node.delete('confined');
  });

  it('that must not be root says why it does not start', async () => {
    const { metadata } = await node.create('nonroot', {
      securityContext: { runAsNonRoot: true, runAsUser: 0 },
      containers: [shell(forever)],
    });
    await eventually(async () =>
      expect((await statusOf('nonroot'))?.state?.waiting).toEqual({
        reason: 'CreateContainerConfigError',
        message: `container's runAsUser breaks non-root policy (pod: "nonroot_default(${metadata.uid})", container: main)`,
      }),
    );
    await node.delete('nonroot');
  });

  it('is in the namespaces of the node that it asks for, shares its processes when asked, and else has its own', async () => {
    const count = 'ps -o args | grep -c "[n]eighbour"';
    const script = `for n in net pid ipc; do readlink /proc/self/ns/$n; done; ${count}; ${forever}`;
    const neighbour = shell(`: neighbour; ${forever}`, { name: 'other' });
    const specs: Record<string, Partial<NonNullable<Pod['spec']>>> = {
      own: {},
      net: { hostNetwork: true },
      pid: { hostPID: true },
      ipc: { hostIPC: true },
      shared: { shareProcessNamespace: true },
    };
    await Promise.all(
      Object.entries(specs).map(([name, spec]) =>
        node.create(name, {
          ...spec,
          // Where it is to be seen it may come late.
          containers: [
            neighbour,
            shell(name === 'shared' ? `until ${count} >/dev/null; do sleep 0.1; done; ${script}` : script),
          ],
        }),
      ),
    );
    const seen = async (name: string) => {
      const { metadata } = await node.get(name);
      const log = path.join(node.rootDir, 'logs', `default_${name}_${metadata.uid}`, 'main/0.log');
      return eventually(async () => {
        const lines = (await fs.readFile(log, 'utf8')).split('\n').map(line => line.split(' ').slice(3).join(' '));
        expect(lines.length).toBeGreaterThan(4);
        const [net, pid, ipc, neighbours] = lines;
        return { net, pid, ipc, neighbours };
      });
    };
    const [own, net, pid, ipc, shared] = await Promise.all(Object.keys(specs).map(seen));
    // The node of these tests has a network of its own, and the processes and IPC of the machine.
    const machine = { pid: await fs.readlink('/proc/self/ns/pid'), ipc: await fs.readlink('/proc/self/ns/ipc') };
    expect(net).toMatchObject({ net: node.networkNamespace, neighbours: '0' });
    expect(pid?.pid).toBe(machine.pid);
    expect(ipc?.ipc).toBe(machine.ipc);
    expect(shared?.neighbours).toBe('1');
    expect(own?.neighbours).toBe('0');
    for (const pod of [own, net, ipc, shared]) expect(pod?.pid).not.toBe(machine.pid);
    for (const pod of [own, net, pid, shared]) expect(pod?.ipc).not.toBe(machine.ipc);
    for (const pod of [own, pid, ipc, shared]) expect(pod?.net).not.toBe(node.networkNamespace);
    await Promise.all(Object.keys(specs).map(name => node.delete(name)));
  });

  it('is in the cgroup of its class of service, and its processes are as ready to be killed as upstream says', async () => {
    const script = `cat /proc/self/oom_score_adj; ${forever}`;
    const half = { cpu: '10m', memory: '16Mi' };
    const resources: Record<string, NonNullable<Container['resources']>> = {
      guaranteed: { requests: half, limits: half },
      burstable: { requests: half },
      besteffort: {},
    };
    const names = Object.keys(resources);
    await Promise.all(
      names.map(name => node.create(name, { containers: [shell(script, { resources: resources[name] })] })),
    );
    await Promise.all(names.map(name => node.untilReady(name)));
    const found = await Promise.all(
      names.map(async name => {
        const { metadata, status } = await node.get(name);
        const log = path.join(node.rootDir, 'logs', `default_${name}_${metadata.uid}`, 'main/0.log');
        const score = await eventually(async () => {
          const [, , , score] = (await fs.readFile(log, 'utf8')).split(/[ \n]/);
          expect(score).toMatch(/^-?\d+$/);
          return Number(score);
        });
        const group = name === 'guaranteed' ? '' : `${name}/`;
        const shares = node.cgroupFile(`kubepods/${group}pod${metadata.uid}`, 'cpu', ['cpu.shares', 'cpu.weight']);
        return { class: status?.qosClass, score, shares: Number(shares) };
      }),
    );
    expect(found.map(pod => pod.class)).toEqual(['Guaranteed', 'Burstable', 'BestEffort']);
    // Nobody without CAP_SYS_RESOURCE gets below the score of the runtime.
    const floor = Number(await fs.readFile('/proc/self/oom_score_adj', 'utf8'));
    const [guaranteed, burstable, besteffort] = found.map(pod => pod.score) as [number, number, number];
    expect(guaranteed).toBe(Math.max(-997, floor));
    expect(burstable).toBe(Math.min(999, 1000 - Math.floor((1000 * 16 * 1024 * 1024) / os.totalmem())));
    expect(besteffort).toBe(1000);
    const [first, second, third] = found.map(pod => pod.shares) as [number, number, number];
    expect(first).toBe(second);
    expect(third).toBeLessThan(first);
    await Promise.all(names.map(name => node.delete(name)));
  });

  it('has the host name that it asks for', async () => {
    await node.create('renamed', { hostnameOverride: 'my.own.name', containers: [shell(forever)] });
    await node.create('qualified', {
      setHostnameAsFQDN: true,
      hostname: 'host',
      subdomain: 'sub',
      containers: [shell(forever)],
    });
    await Promise.all(['renamed', 'qualified'].map(name => node.untilReady(name)));
    expect(await node.exec('renamed', 'hostname')).toBe('my.own.name');
    expect(await node.exec('qualified', 'hostname')).toBe('host.sub.default.svc.cluster.local');
    await Promise.all(['renamed', 'qualified'].map(name => node.delete(name)));
  });

  it('is not Ready before the conditions that it waits for are', async () => {
    const conditionType = 'example.com/served';
    await node.create('gated', { readinessGates: [{ conditionType }], containers: [shell(forever)] });
    const readiness = async () => {
      const { conditions = [] } = (await node.get('gated')).status ?? {};
      return ['ContainersReady', 'Ready'].map(wanted => conditions.find(({ type }) => type === wanted));
    };
    await eventually(async () =>
      expect(await readiness()).toEqual([
        expect.objectContaining({ status: 'True' }),
        expect.objectContaining({
          status: 'False',
          reason: 'ReadinessGatesNotReady',
          message: `corresponding condition of pod readiness gate "${conditionType}" does not exist.`,
        }),
      ]),
    );
    const key = { namespace: 'default', name: 'gated' };
    const conditions = [{ type: conditionType, status: 'True' }];
    await node.api.patch(pods, key, { type: 'strategic', body: { status: { conditions } } }, { subresource: 'status' });
    await node.untilReady('gated');
    await node.delete('gated');
  });

  it('has the kernel parameters that it asks for, where its node allows them', async () => {
    const sysctls = [
      { name: 'net/ipv4/ip_unprivileged_port_start', value: '80' },
      { name: 'kernel.msgmax', value: '65535' },
    ];
    await node.create('tuned', { securityContext: { sysctls }, containers: [shell(forever)] });
    const unsafe = { sysctls: [{ name: 'net.core.somaxconn', value: '9' }] };
    await node.create('untuned', { securityContext: unsafe, containers: [shell(forever)] });
    await node.untilReady('tuned');
    const files = ['/proc/sys/net/ipv4/ip_unprivileged_port_start', '/proc/sys/kernel/msgmax'];
    expect(await node.exec('tuned', 'cat', ...files)).toBe('80\n65535');
    await eventually(async () =>
      expect((await node.get('untuned')).status).toMatchObject({
        phase: 'Failed',
        reason: 'SysctlForbidden',
        message: 'Pod was rejected: forbidden sysctl: "net.core.somaxconn" not allowlisted',
      }),
    );
    await node.delete('tuned');
    await node.delete('untuned');
  });

  it('finds on its node what it takes for granted there, or what it asks to be made, and leaves only that', async () => {
    const place = await fs.mkdtemp(path.join(os.tmpdir(), 'kubelet-host-path-'));
    const volumes = [
      { name: 'made', hostPath: { path: path.join(place, 'made'), type: 'DirectoryOrCreate' } },
      { name: 'file', hostPath: { path: path.join(place, 'file'), type: 'FileOrCreate' } },
      { name: 'device', hostPath: { path: '/dev/null', type: 'CharDevice' } },
    ];
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
    await node.create('host-paths', { volumes, containers: [shell(forever, { volumeMounts })] });
    const missing = { name: 'missing', hostPath: { path: path.join(place, 'missing'), type: 'Directory' } };
    await node.create('no-host-path', {
      volumes: [missing],
      containers: [shell(forever, { volumeMounts: [{ name: 'missing', mountPath: '/missing' }] })],
    });
    await node.untilReady('host-paths');
    const { uid } = (await node.get('host-paths')).metadata;
    await node.exec('host-paths', 'sh', '-c', 'echo one > /made/one; echo two > /file; echo three > /device');
    expect(await fs.readFile(path.join(place, 'made/one'), 'utf8')).toBe('one\n');
    expect(await fs.readFile(path.join(place, 'file'), 'utf8')).toBe('two\n');
    await eventually(async () =>
      expect(await node.events('no-host-path')).toContainEqual(
        expect.objectContaining({
          reason: 'FailedMount',
          message: expect.stringMatching(
            /^MountVolume.SetUp failed for volume "missing" : hostPath type check failed:/,
          ),
        }),
      ),
    );
    await fs.mkdir(missing.hostPath.path);
    await node.untilReady('no-host-path');
    await node.delete('host-paths');
    await node.delete('no-host-path');
    // Of the pod nothing remains, of the node's files everything.
    await eventually(async () => {
      await expect(fs.access(path.join(node.rootDir, 'pods', uid))).rejects.toThrow('ENOENT');
      expect(node.mountPoints().filter(place => place.includes(uid))).toEqual([]);
    });
    expect((await fs.readdir(place)).sort()).toEqual(['file', 'made', 'missing']);
    await fs.rm(place, { recursive: true });
  });

  it('is told when the target of a probe takes connections and never answers, and goes on', async () => {
    // It reads, or it would never know that a connection has ended.
    const target = net.createServer(socket => void socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
    await once(target, 'listening');
    const { port } = target.address() as net.AddressInfo;
    const probe = { httpGet: { host: '127.0.0.1', port }, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1 };
    await node.create('silent', { containers: [shell(forever, { readinessProbe: probe })] });
    await eventually(async () =>
      expect(await node.events('silent')).toContainEqual({
        reason: 'Unhealthy',
        message: expect.stringMatching(/^Readiness probe failed: Get "http:.*": context deadline exceeded/),
      }),
    );
    expect(await statusOf('silent')).toMatchObject({ ready: false, restartCount: 0 });
    await node.delete('silent');
    target.close();
  });
});
