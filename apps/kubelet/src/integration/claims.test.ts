import fs from 'node:fs';
import path from 'node:path';
import { Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { resourceClaims } from '@naru/api';
import { dra, drahealth, registration } from '@naru/proto';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { TestNode, forever, shell, whyNot } from './test-node';

const withRoot = whyNot() ? describe.skip : describe;
const driverName = 'gpu.example.com';

/** A driver of dynamic resource allocation as makers of GPUs write them: it describes its devices in CDI files. Its devices are /dev/null. */
class Driver {
  readonly calls: string[] = [];
  /** Told to the kubelet in place of devices. */
  error = '';
  private readonly server = new Server();
  private readonly watchers = new Set<ServerWritableStream<unknown, drahealth.NodeWatchResourcesResponse>>();
  /** What who comes to listen is told first. */
  private health: drahealth.NodeWatchResourcesResponse | undefined;

  constructor(private readonly folders: { registry: string; cdi: string }) {}

  async start(versions = ['v1.DRAPlugin']): Promise<void> {
    const socket = path.join(this.folders.registry, `${driverName}-reg.sock`);
    this.server.addService(registration.RegistrationService, {
      getInfo: (_, callback) =>
        callback(null, { type: 'DRAPlugin', name: driverName, endpoint: socket, supportedVersions: versions }),
      notifyRegistrationStatus: ({ request }, callback) => {
        this.calls.push(request.pluginRegistered ? 'registered' : `refused: ${request.error}`);
        callback(null, {});
      },
    } satisfies registration.RegistrationServer);
    this.server.addService(dra.DRAPluginService, {
      nodePrepareResources: ({ request }, callback) =>
        callback(null, { claims: Object.fromEntries(request.claims.map(claim => [claim.uid, this.prepare(claim)])) }),
      nodeUnprepareResources: ({ request }, callback) => {
        this.calls.push(...request.claims.map(({ name }) => `unprepare ${name}`));
        callback(null, { claims: Object.fromEntries(request.claims.map(({ uid }) => [uid, { error: '' }])) });
      },
    } satisfies dra.DRAPluginServer);
    this.server.addService(drahealth.DRAResourceHealthService, {
      nodeWatchResources: call => {
        this.watchers.add(call);
        if (this.health) call.write(this.health);
        call.on('cancelled', () => this.watchers.delete(call));
      },
    } satisfies drahealth.DRAResourceHealthServer);
    fs.mkdirSync(this.folders.registry, { recursive: true });
    fs.rmSync(socket, { force: true });
    await new Promise<void>((resolve, reject) =>
      this.server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), error =>
        error ? reject(error) : resolve(),
      ),
    );
  }

  get listeners(): number {
    return this.watchers.size;
  }

  /** Tells who listens of the health of both devices; undefined: that there is nothing more to hear. */
  tell(health: drahealth.HealthStatus | undefined, message = ''): void {
    const devices = ['gpu', 'link'].map(deviceName => ({
      ...{ device: { poolName: 'p', deviceName }, health: health ?? drahealth.HealthStatus.UNKNOWN, message },
      ...{ lastUpdatedTime: 0n, healthCheckTimeoutSeconds: 3600n },
    }));
    this.health = health === undefined ? undefined : { devices };
    for (const watcher of this.watchers)
      if (health === undefined) watcher.end();
      else watcher.write({ devices });
  }

  stop(): void {
    this.server.forceShutdown();
  }

  private prepare({ name }: dra.Claim): dra.NodePrepareResourceResponse {
    this.calls.push(`prepare ${name}`);
    if (this.error) return { devices: [], error: this.error };
    fs.mkdirSync(this.folders.cdi, { recursive: true });
    const device = (kind: string): string =>
      [
        `  - name: ${name}-${kind}`,
        '    containerEdits:',
        `      env: [${kind.toUpperCase()}=${name}]`,
        `      deviceNodes:`,
        `      - { path: /dev/${kind}, hostPath: /dev/null, fileMode: 0o640, uid: 1234, gid: 5678 }`,
        // FUSE, by its numbers: to be opened for reading, and not otherwise.
        `      - { path: /dev/${kind}-fuse, type: c, major: 10, minor: 229, permissions: r }`,
      ].join('\n');
    const text = [
      'cdiVersion: 0.5.0',
      'kind: example.com/gpu',
      'containerEdits:',
      '  mounts:',
      `  - { hostPath: ${this.folders.cdi}, containerPath: /opt/driver, options: [ro, bind] }`,
      '  - { hostPath: tmpfs, containerPath: /opt/scratch, type: tmpfs, options: [noexec, size=64k, mode=711] }',
      'devices:',
      device('gpu'),
      device('link'),
    ].join('\n');
    fs.writeFileSync(path.join(this.folders.cdi, `${name}.yaml`), text);
    return {
      error: '',
      devices: ['gpu', 'link'].map(kind => ({
        requestNames: [kind],
        poolName: 'p',
        deviceName: kind,
        cdiDeviceIds: [`example.com/gpu=${name}-${kind}`],
      })),
    };
  }
}

withRoot('the kubelet and claims for devices', () => {
  let node: TestNode;
  let kubelet: Kubelet;
  let driver: Driver;

  const show = `echo "GPU=$GPU LINK=$LINK $(ls -d /dev/gpu /dev/link /opt/driver 2>/dev/null | tr '\\n' ' ')"; touch /opt/driver/x; ${forever}`;
  const log = async (pod: string, container: string): Promise<string> =>
    (await node.fetch(kubelet, `/containerLogs/default/${pod}/${container}`)).text.split('\n')[0]?.trim() ?? '';
  const create = (name: string, claim: string) =>
    node.create(name, {
      resourceClaims: [{ name: 'card', resourceClaimName: claim }],
      containers: [
        { ...shell(show), name: 'all', resources: { claims: [{ name: 'card' }] } },
        { ...shell(show), name: 'part', resources: { claims: [{ name: 'card', request: 'gpu' }] } },
        { ...shell(show), name: 'none' },
      ],
    });
  /** What the scheduler writes. */
  const allocate = async (claim: string, ...names: string[]): Promise<void> => {
    const users = await Promise.all(names.map(async name => (await node.get(name)).metadata));
    const results = ['gpu', 'link'].map(request => ({ request, driver: driverName, pool: 'p', device: request }));
    node.api.seed(resourceClaims, {
      metadata: { namespace: 'default', name: claim },
      spec: {},
      status: {
        allocation: { devices: { results } },
        reservedFor: users.map(({ name, uid }) => ({ resource: 'pods', name, uid })),
      },
    });
  };

  beforeAll(async () => {
    node = await TestNode.create();
    kubelet = await node.startKubelet();
    driver = new Driver({ registry: path.join(node.rootDir, 'plugins_registry'), cdi: node.file('cdi') });
  });

  afterAll(async () => {
    driver?.stop();
    await node?.close();
  });

  it('refuses a driver of versions that it does not speak', async () => {
    const other = new Driver({ registry: path.join(node.rootDir, 'plugins_registry'), cdi: node.file('cdi') });
    await other.start(['v9.DRAPlugin']);
    await eventually(() => expect(other.calls[0]).toMatch(/^refused: none of the DRA gRPC API versions/));
    other.stop();
  });

  it('starts a pod when its claim is there and the driver has made the devices ready, and says what is missing until then', async () => {
    const prepareFailed = (message: string) =>
      eventually(async () => {
        const told = (await node.events('one')).filter(({ reason }) => reason === 'FailedPrepareDynamicResources');
        expect(told.map(each => each.message)).toContainEqual(expect.stringContaining(message));
      });
    await create('one', 'shared');
    await prepareFailed('"shared" not found');
    await create('two', 'shared');
    await allocate('shared', 'one', 'two');
    await prepareFailed(`DRA driver ${driverName} is not registered`);
    driver.error = 'the card is on fire';
    await driver.start();
    await prepareFailed('NodePrepareResources failed for claim shared: the card is on fire');
    driver.error = '';
    await node.untilReady('one');
    await node.untilReady('two');
  });

  it('gives each container the devices of the claims and requests that it names', async () => {
    await eventually(async () => {
      expect(await log('one', 'all')).toBe('GPU=shared LINK=shared /dev/gpu /dev/link /opt/driver');
      expect(await log('one', 'part')).toBe('GPU=shared LINK= /dev/gpu /opt/driver');
      expect(await log('one', 'none')).toBe('GPU= LINK=');
    });
    expect(fs.existsSync(path.join(node.file('cdi'), 'x'))).toBe(false);
  });

  it('tells by the status of a container whether the devices of its claims work', async () => {
    const { HEALTHY, UNHEALTHY } = drahealth.HealthStatus;
    const told = async (container: string) =>
      (await node.get('one')).status?.containerStatuses?.find(({ name }) => name === container)
        ?.allocatedResourcesStatus;
    const of = (kind: string, health: object) => ({ resourceID: `example.com/gpu=shared-${kind}`, ...health });
    const untilTold = (health: object) =>
      eventually(async () => {
        expect(await told('all')).toEqual([{ name: 'claim:card', resources: [of('gpu', health), of('link', health)] }]);
        expect(await told('part')).toEqual([{ name: 'claim:card/gpu', resources: [of('gpu', health)] }]);
        expect(await told('none')).toBeUndefined();
      });
    await untilTold({ health: 'Unknown' });
    await eventually(() => expect(driver.listeners).toBe(1));
    driver.tell(HEALTHY);
    await untilTold({ health: 'Healthy' });
    driver.tell(UNHEALTHY, 'XID 79');
    await untilTold({ health: 'Unhealthy', message: 'XID 79' });
    driver.tell(undefined);
    await untilTold({ health: 'Unknown' });
  });

  it('gives devices the modes, owners and rights that their driver asks for, and mounts their options', async () => {
    expect(await node.execIn('one', 'all', 'stat', '-c', '%a %u:%g %t:%T', '/dev/gpu')).toBe('640 1234:5678 1:3');
    const tries = '(exec 3</dev/gpu-fuse) && echo read; (exec 3>/dev/gpu-fuse) 2>/dev/null || echo not written';
    expect(await node.execIn('one', 'all', 'sh', '-c', tries)).toBe('read\nnot written');
    const mounted = await node.execIn('one', 'all', 'sh', '-c', 'grep " /opt/scratch " /proc/mounts');
    expect(mounted).toMatch(/^tmpfs \/opt\/scratch tmpfs rw,.*noexec.*size=64k,mode=711/);
  });

  it('gives containers the devices of the claim that was made for their extended resources', async () => {
    const gpus = { 'example.com/gpu': '1' };
    const asking = { resources: { requests: gpus, limits: gpus } };
    const mapping = { containerName: 'main', resourceName: 'example.com/gpu', requestName: 'gpu' };
    await node.create(
      'extended',
      {
        containers: [
          { ...shell(show), ...asking },
          { ...shell(show), name: 'none' },
        ],
      },
      { extendedResourceClaimStatus: { requestMappings: [mapping], resourceClaimName: 'special' } },
    );
    await allocate('special', 'extended');
    await node.untilReady('extended');
    await eventually(async () => {
      expect(await log('extended', 'main')).toBe('GPU=special LINK= /dev/gpu /opt/driver');
      expect(await log('extended', 'none')).toBe('GPU= LINK=');
    });
    await node.delete('extended');
    await eventually(() => expect(driver.calls).toContain('unprepare special'));
  });

  it('does not let a pod use a claim that is not reserved for it', async () => {
    await allocate('private', 'one');
    await create('thief', 'private');
    await eventually(async () =>
      expect((await node.events('thief')).map(({ message }) => message)).toContainEqual(
        expect.stringMatching(/pod thief \(.*\) is not allowed to use ResourceClaim private/),
      ),
    );
    await node.delete('thief');
    expect(driver.calls).not.toContain('prepare private');
  });

  it('has the devices taken back when the last pod of a claim is gone, over its restart too', async () => {
    await node.delete('one');
    await node.stopKubelet(kubelet);
    const registered = () => driver.calls.filter(call => call === 'registered').length;
    const before = registered();
    kubelet = await node.startKubelet();
    await eventually(() => expect(registered()).toBeGreaterThan(before));
    expect(driver.calls).not.toContain('unprepare shared');
    await node.delete('two');
    await eventually(() => expect(driver.calls).toContain('unprepare shared'));
    expect(driver.calls.filter(call => call === 'unprepare shared')).toHaveLength(1);
  });
});
