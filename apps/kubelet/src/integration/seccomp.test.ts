import fs from 'node:fs';
import path from 'node:path';
import { pods, runtimeClasses, type Container } from '@naru/api';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { TestNode, forever, shell, whyNot } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`seccomp tests are skipped: ${skipped}\n`);

/** Prints 2 with a profile, 0 without one. Source: proc_pid_status(5). */
const mode = "sed -n 's/^Seccomp:[[:space:]]*//p' /proc/self/status";
/** Tells the mode as its last words. */
const tell = `${mode} > /dev/termination-log`;

withRoot('a container', () => {
  let node: TestNode;
  let kubelet: Kubelet;

  beforeAll(async () => {
    node = await TestNode.create();
    kubelet = await node.startKubelet();
  });

  afterAll(() => node?.close());

  const confined = (type: string, localhostProfile?: string): Partial<Container> => ({
    securityContext: { seccompProfile: { type, ...(localhostProfile ? { localhostProfile } : {}) } },
  });

  it('has the seccomp profile that it names or else its pod names, also when it is an init or an ephemeral one', async () => {
    const folder = path.join(node.rootDir, 'seccomp');
    fs.mkdirSync(folder, { recursive: true });
    const syscalls = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }];
    fs.writeFileSync(path.join(folder, 'no-mkdir.json'), JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }));
    const local = confined('Localhost', 'no-mkdir.json');
    const tryDirectory = '(mkdir /made 2>&1 && echo made) > /dev/termination-log; true';
    await node.create('profiles', {
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      initContainers: [
        shell(tell, { name: 'inherits' }),
        shell(tell, { name: 'free', ...confined('Unconfined') }),
        shell(tryDirectory, { name: 'local', ...local }),
        shell(forever, { name: 'sidecar', restartPolicy: 'Always' }),
      ],
      containers: [shell(forever), shell(forever, { name: 'unconfined', ...confined('Unconfined') })],
    });
    const { status } = await node.untilReady('profiles');
    const lastWords = Object.fromEntries(
      (status?.initContainerStatuses ?? []).map(({ name, state }) => [name, state?.terminated?.message?.trim()]),
    );
    expect(lastWords).toMatchObject({
      inherits: '2',
      free: '0',
      local: "mkdir: can't create directory '/made': Operation not permitted",
    });
    expect(await node.exec('profiles', 'sh', '-c', mode)).toBe('2');
    const ephemeralContainers = [
      shell(tell, { name: 'debugger' }),
      shell(tell, { name: 'debugger-free', ...confined('Unconfined') }),
      shell(tryDirectory, { name: 'debugger-local', ...local }),
    ];
    await node.api.patch(
      pods,
      { namespace: 'default', name: 'profiles' },
      { type: 'merge', body: { spec: { ephemeralContainers } } },
    );
    await eventually(async () => {
      const ended = (await node.get('profiles')).status?.ephemeralContainerStatuses ?? [];
      expect(ended.map(({ state }) => state?.terminated?.message?.trim())).toEqual([
        '2',
        '0',
        "mkdir: can't create directory '/made': Operation not permitted",
      ]);
    });
    await node.delete('profiles');
  });

  it('has no profile when nobody names one, and that of the runtime when the kubelet is told so', async () => {
    await node.create('plain', { containers: [shell(forever)] });
    await node.untilReady('plain');
    expect(await node.exec('plain', 'sh', '-c', mode)).toBe('0');
    await node.delete('plain');
    await node.stopKubelet(kubelet);
    const file = node.file('kubelet.yaml');
    fs.writeFileSync(
      file,
      'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nseccompDefault: true\n',
    );
    kubelet = await node.startKubelet([`--config=${file}`]);
    const specs = {
      defaulted: shell(forever),
      free: shell(forever, confined('Unconfined')),
      privileged: shell(forever, { securityContext: { privileged: true } }),
    };
    await Promise.all(Object.entries(specs).map(([name, container]) => node.create(name, { containers: [container] })));
    const modes = Object.keys(specs).map(async name => {
      await node.untilReady(name);
      return [name, await node.exec(name, 'sh', '-c', mode)] as const;
    });
    expect(Object.fromEntries(await Promise.all(modes))).toEqual({ defaulted: '2', free: '0', privileged: '0' });
    await Promise.all(Object.keys(specs).map(name => node.delete(name)));
  });

  it('runs with the handler of the RuntimeClass of its pod, and waits for one that is there', async () => {
    await Promise.all(
      ['runc', 'strange'].map(name => node.api.create(runtimeClasses, { metadata: { name }, handler: name })),
    );
    await node.create('classed', { runtimeClassName: 'runc', containers: [shell(forever)] });
    await node.create('strange', { runtimeClassName: 'strange', containers: [shell(forever)] });
    await node.create('unclassed', { runtimeClassName: 'nowhere', containers: [shell(forever)] });
    await node.untilReady('classed');
    expect(await node.exec('classed', 'echo', 'here')).toBe('here');
    for (const [name, why] of [
      ['strange', 'no runtime for "strange" is configured'],
      ['unclassed', '"nowhere" not found'],
    ] as const)
      await eventually(async () =>
        expect(await node.events(name)).toContainEqual({
          reason: 'FailedCreatePodSandBox',
          message: expect.stringContaining(why),
        }),
      );
    await node.api.create(runtimeClasses, { metadata: { name: 'nowhere' }, handler: '' });
    await node.untilReady('unclassed');
    await Promise.all(['classed', 'strange', 'unclassed'].map(name => node.delete(name)));
  });
});
