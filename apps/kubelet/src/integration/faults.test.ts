import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { secrets, type Container, type Pod } from '@naru/api';
import { busyboxImage, eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { FaultyRegistry, privateCredential, type Fault } from './faulty-registry';
import { TestNode, forever, shell, whyNot } from './test-node';

const withRoot = whyNot() ? describe.skip : describe;

withRoot('the kubelet when things go wrong', () => {
  let node: TestNode;
  let kubelet: Kubelet;
  let registry: FaultyRegistry;

  beforeAll(async () => {
    // Network plugins that hang are given up soon; others have several tries at that.
    node = await TestNode.create('naru', { imageBytes: 64 << 20, cniTimeoutSeconds: 2 });
    registry = await FaultyRegistry.serve(node.file('registry'), busyboxImage(), node.registryAddress);
    fs.writeFileSync(
      node.file('config.yaml'),
      'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n' +
        'podPidsLimit: 60\ncontainerLogMaxSize: 1Mi\ncontainerLogMaxFiles: 3\ncontainerLogMonitorInterval: 200ms\n',
    );
    kubelet = await node.startKubelet([`--config=${node.file('config.yaml')}`]);
    // Whatever happens in this file, this pod is none the worse for it.
    await node.create('bystander', { containers: [shell(forever)] });
    await node.untilReady('bystander');
  });

  afterAll(async () => {
    await registry?.close();
    await node?.close();
  });

  afterEach(async () => {
    const { status } = await node.get('bystander');
    expect(status).toMatchObject({ phase: 'Running', containerStatuses: [{ ready: true, restartCount: 0 }] });
  });

  const waiting = async (name: string): Promise<{ reason?: string | undefined; message?: string | undefined }> =>
    (await node.get(name)).status?.containerStatuses?.[0]?.state?.waiting ?? {};
  const waitFor = (name: string, reason: RegExp, message: RegExp): Promise<void> =>
    eventually(async () => {
      const found = await waiting(name);
      expect(found.reason).toMatch(reason);
      expect(found.message).toMatch(message);
    });
  const pulling = (fault: Fault): Container =>
    shell(forever, { image: registry.image(fault), imagePullPolicy: 'Always' });

  it('names what is wrong with an image and pulls it again with back-off', async () => {
    const expected: [Fault, RegExp][] = [
      ['wrong-digest', /unexpected content digest sha256:[0-9a-f]{64}, expected sha256:/],
      ['cut', /failed to reach|terminated|closed|broke/],
      ['bad-manifest', /manifest/],
      ['denied', /403|denied/],
    ];
    for (const [fault] of expected) await node.create(fault, { containers: [pulling(fault)] });
    for (const [fault, message] of expected) await waitFor(fault, /^(ErrImagePull|ImagePullBackOff)$/, message);
    for (const [fault] of expected)
      await waitFor(fault, /^ImagePullBackOff$/, /^Back-off pulling image ".*": ErrImagePull: /);
    for (const [fault] of expected) {
      await node.untilTold(fault, 'Pulling', 'Failed', 'BackOff');
      await node.delete(fault);
    }
  });

  it('says that the disk is full when an image finds no room, keeps nothing of it, and pulls it when there is', async () => {
    const ballast = node.file('images/ballast');
    const { bavail, bsize } = fs.statfsSync(node.file('images'));
    fs.writeFileSync(ballast, Buffer.alloc(bavail * bsize - (4 << 20)));
    await node.create('no-room', { containers: [pulling('large')] });
    await waitFor('no-room', /^(ErrImagePull|ImagePullBackOff)$/, /no space left on device/);
    await node.untilTold('no-room', 'Pulling', 'Failed');
    // Between two tries.
    await eventually(() => expect(fs.readdirSync(node.file('images/tmp'))).toEqual([]));
    // What is there already still starts.
    await node.create('small', { containers: [shell(forever)] });
    await node.untilReady('small');
    fs.rmSync(ballast);
    await node.create('room', { containers: [pulling('large')] });
    await node.untilReady('room');
    await Promise.all(['no-room', 'small', 'room'].map(name => node.delete(name)));
  });

  it('lets a pod use an image that another one has pulled with a secret only with credentials of its own', async () => {
    const { host, port } = node.registryAddress;
    const dockerconfig = JSON.stringify({ auths: { [`${host}:${port}`]: { auth: privateCredential } } });
    for (const name of ['reader', 'same-reader'])
      await node.api.create(secrets, {
        metadata: { name, namespace: 'default' },
        type: 'kubernetes.io/dockerconfigjson',
        data: { '.dockerconfigjson': Buffer.from(dockerconfig).toString('base64') },
      });
    const using = (imagePullPolicy: string, secret?: string): Partial<NonNullable<Pod['spec']>> => ({
      containers: [shell(forever, { image: registry.image('private'), imagePullPolicy })],
      ...(secret ? { imagePullSecrets: [{ name: secret }] } : {}),
    });
    await node.create('owner', using('IfNotPresent', 'reader'));
    await node.untilReady('owner');
    await Promise.all([
      node.create('stranger', using('IfNotPresent')),
      node.create('idle-stranger', using('Never')),
      node.create('friend', using('Never', 'same-reader')),
    ]);
    await waitFor('stranger', /^(ErrImagePull|ImagePullBackOff)$/, /authorization failed: no basic auth credentials/);
    await waitFor('idle-stranger', /^ErrImageNeverPull$/, /not accessible with the credentials of the pod/);
    await node.untilReady('friend');
    await eventually(async () =>
      expect(await node.events('friend')).toContainEqual({
        reason: 'Pulled',
        message: `Container image "${registry.image('private')}" already present on machine and can be accessed by the pod`,
      }),
    );
    await Promise.all(['owner', 'stranger', 'idle-stranger', 'friend'].map(name => node.delete(name)));
  });

  it('asks the registry for the image of a volume each time when that is to be Always', async () => {
    const volume = { name: 'image', image: { reference: registry.image('none'), pullPolicy: 'Always' } };
    const container = shell(forever, { volumeMounts: [{ name: 'image', mountPath: '/image' }] });
    for (const name of ['image-volume', 'image-volume-again']) {
      await node.create(name, { containers: [container], volumes: [volume] });
      await node.untilReady(name);
      expect(await node.exec(name, 'ls', '/image/own', '/image/bin/busybox')).toBe('/image/bin/busybox\n/image/own');
      await node.untilTold(name, 'Pulling');
      await node.delete(name);
    }
  });

  it('refuses an image name that is none', async () => {
    await node.create('misnamed', { containers: [shell(forever, { image: 'Not/A/Name' })] });
    await waitFor(
      'misnamed',
      /^InvalidImageName$/,
      /Failed to apply default image tag "Not\/A\/Name": couldn't parse image name/,
    );
    await node.untilTold('misnamed', 'InspectFailed');
    await eventually(async () =>
      expect(await node.events('misnamed')).toContainEqual({ reason: 'Failed', message: 'Error: InvalidImageName' }),
    );
    await node.delete('misnamed');
  });

  it('lets a pod go whose registry never answers, and starts others meanwhile', async () => {
    await node.create('stuck', { containers: [pulling('hang')] });
    await node.untilTold('stuck', 'Pulling');
    await node.create('other', { containers: [pulling('none')] });
    await node.untilReady('other');
    await node.delete('stuck');
    await node.delete('other');
  });

  it('tells of a network plugin that fails, one that never returns and one that is not there, and goes on when it works', async () => {
    const plugin = (name: string, script: string): void =>
      fs.writeFileSync(node.file(`bin/${name}`), `#!/bin/sh\n[ "$CNI_COMMAND" = DEL ] && exit 0\n${script}\n`, {
        mode: 0o755,
      });
    plugin('failing', 'echo \'{"cniVersion":"1.0.0","code":11,"msg":"no address left"}\'; exit 1');
    plugin('hanging', 'exec sleep 3600');
    const events = async (name: string): Promise<string[]> =>
      (await node.events(name))
        .filter(({ reason }) => reason === 'FailedCreatePodSandBox')
        .map(({ message }) => message);
    const cases: [string, RegExp][] = [
      ['failing', /Failed to create pod sandbox: .*plugin type="failing" failed \(add\): no address left/],
      ['hanging', /Failed to create pod sandbox: .*hanging did not end within 2000 ms/],
      ['absent', /Failed to create pod sandbox: .*failed to find plugin "absent" in path/],
    ];
    for (const [name, message] of cases) {
      node.writeNetwork(name);
      await node.create(name, { containers: [shell(forever)] });
      await eventually(async () => expect((await events(name)).join('\n')).toMatch(message));
      await eventually(async () => expect((await waiting(name)).reason).toBe('ContainerCreating'));
    }
    node.writeNetwork();
    for (const [name] of cases) {
      await node.untilReady(name);
      await node.delete(name);
    }
  });

  it('tells of an OCI runtime that is missing and starts the container when it is back', async () => {
    fs.rmSync(node.file('bin/oci'));
    await node.create('runtimeless', { containers: [shell(forever)] });
    await waitFor('runtimeless', /^(CreateContainerError|RunContainerError)$/, /oci/);
    node.linkOciRuntime();
    await node.untilReady('runtimeless');
    await node.delete('runtimeless');
  });

  it('tells of a program that is not in the image', async () => {
    await node.create('mistyped', { containers: [shell('', { command: ['/bin/absent'] })] });
    await waitFor('mistyped', /^(CreateContainerError|RunContainerError|CrashLoopBackOff)$/, /./);
    await node.untilTold('mistyped', 'Failed');
    await node.delete('mistyped');
  });

  it('ends a container that ignores SIGTERM when its grace period is over', async () => {
    await node.create('stubborn', { containers: [shell('trap "" TERM; while :; do sleep 1; done')] });
    await node.untilReady('stubborn');
    await node.delete('stubborn');
  });

  it('holds a fork bomb to the processes of its pod', async () => {
    await node.create('bomb', { containers: [shell('while :; do sleep 3600 & done')] });
    await eventually(async () => {
      const { text } = await node.fetch(kubelet, '/containerLogs/default/bomb/main');
      expect(text).toMatch(/can't fork|Resource temporarily unavailable/);
    });
    const worker = kubelet.workers.find('default', 'bomb');
    const usage = Number(node.podCgroupFile(worker?.uid ?? '', 'pids', 'pids.max'));
    expect(usage).toBe(60);
    await node.delete('bomb');
  });

  it('kills what lives on in the cgroup of a pod that ends', async () => {
    const { metadata } = await node.create('haunted', { containers: [shell(forever)] });
    await node.untilReady('haunted');
    const cgroup = node.cgroupDirectory(`kubepods/besteffort/pod${metadata.uid}`, 'pids');
    const ghost = spawn('sleep', ['infinity']);
    const ended = new Promise(resolve => ghost.once('exit', (_code, signal) => resolve(signal)));
    try {
      fs.mkdirSync(`${cgroup}/ghost`);
      fs.writeFileSync(`${cgroup}/ghost/cgroup.procs`, String(ghost.pid));
      await node.delete('haunted');
      expect(await ended).toBe('SIGKILL');
      expect(fs.existsSync(cgroup)).toBe(false);
    } finally {
      ghost.kill('SIGKILL');
    }
  });

  it('keeps a flood of logs to so many files of so much, compressed', async () => {
    const line = 'x'.repeat(1023);
    // In waves: files are looked at five times a second, and one wave may well be over before.
    const waves = `for i in 1 2 3 4 5 6; do yes ${line} | head -c 2097152; sleep 1; done`;
    await node.create('flood', { containers: [shell(`${waves}; ${forever}`)] });
    const directory = (): string =>
      `${node.rootDir}/logs/default_flood_${kubelet.workers.find('default', 'flood')?.uid}/main`;
    await eventually(() => {
      const names = fs.readdirSync(directory());
      expect(names.some(name => name.endsWith('.gz'))).toBe(true);
      expect(names.length).toBeLessThanOrEqual(3);
      const bytes = names.reduce((sum, name) => sum + fs.statSync(`${directory()}/${name}`).size, 0);
      expect(bytes).toBeLessThan(12 << 20);
    });
    await node.delete('flood');
  });

  it('passes binary logs on byte for byte', async () => {
    const script = `i=0; while [ $i -lt 3 ]; do printf '\\000\\001\\377\\376\\033[31m\\n'; i=$((i+1)); done; ${forever}`;
    await node.create('binary', { containers: [shell(script)] });
    await node.untilReady('binary');
    const wanted = Buffer.from([0, 1, 255, 254, 27, 91, 51, 49, 109, 10]);
    await eventually(async () => {
      const { body } = await node.fetch(kubelet, '/containerLogs/default/binary/main');
      expect(body).toEqual(Buffer.concat([wanted, wanted, wanted]));
    });
    await node.delete('binary');
  });
});
