import fs from 'node:fs';
import path from 'node:path';
import { credentials, Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { nodes, resourceClaims } from '@naru/api';
import { deviceplugin } from '@naru/proto';
import { eventually } from '@naru/testing';
import { unary } from '../cri/unary';
import type { Kubelet } from '../kubelet';
import { machine, writeSystemDevices } from '../testing/system-devices';
import { TestNode, forever, nodeName, shell, whyNot } from './test-node';

const withRoot = whyNot() ? describe.skip : describe;
const resource = 'example.com/gpu';

/** A device plugin as GPU makers write them; its devices are /dev/null. */
class Gpus {
  private readonly server = new Server();
  private readonly watchers = new Set<ServerWritableStream<unknown, deviceplugin.ListAndWatchResponse>>();
  readonly devices = new Map([
    ['gpu-0', 'Healthy'],
    ['gpu-1', 'Healthy'],
  ]);

  /** ID → NUMA node. */
  readonly places = new Map<string, number>();

  constructor(private readonly folder: string) {}

  async start(version = 'v1beta1'): Promise<void> {
    const socket = path.join(this.folder, 'gpus.sock');
    this.server.addService(deviceplugin.DevicePluginService, {
      getDevicePluginOptions: (_, callback) =>
        callback(null, { preStartRequired: false, getPreferredAllocationAvailable: false }),
      listAndWatch: call => {
        this.watchers.add(call);
        call.on('cancelled', () => this.watchers.delete(call));
        call.write(this.list());
      },
      getPreferredAllocation: (_, callback) => callback(null, { containerResponses: [] }),
      allocate: ({ request }, callback) =>
        callback(null, {
          containerResponses: request.containerRequests.map(({ devicesIds }) =>
            deviceplugin.ContainerAllocateResponse.fromPartial({
              envs: { VISIBLE_GPUS: devicesIds.join(',') },
              mounts: [{ containerPath: '/opt/driver', hostPath: this.folder, readOnly: true }],
              devices: devicesIds.map(id => ({
                containerPath: `/dev/${id}`,
                hostPath: '/dev/null',
                permissions: 'rw',
              })),
            }),
          ),
        }),
      preStartContainer: (_, callback) => callback(null, {}),
    } satisfies deviceplugin.DevicePluginServer);
    fs.rmSync(socket, { force: true });
    await new Promise<void>((resolve, reject) =>
      this.server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), error =>
        error ? reject(error) : resolve(),
      ),
    );
    const client = new deviceplugin.RegistrationClient(
      `unix://${this.folder}/kubelet.sock`,
      credentials.createInsecure(),
    );
    const request = { version, endpoint: 'gpus.sock', resourceName: resource, options: undefined };
    await unary(client, client.register, request, 60_000).finally(() => client.close());
  }

  set(id: string, health: string): void {
    this.devices.set(id, health);
    for (const watcher of this.watchers) watcher.write(this.list());
  }

  stop(): void {
    this.server.forceShutdown();
  }

  private list(): deviceplugin.ListAndWatchResponse {
    return {
      devices: [...this.devices].map(([ID, health]) => {
        const place = this.places.get(ID);
        return { ID, health, topology: place === undefined ? undefined : { nodes: [{ ID: BigInt(place) }] } };
      }),
    };
  }
}

withRoot('the kubelet and device plugins', () => {
  let node: TestNode;
  let kubelet: Kubelet;
  let gpus: Gpus;

  const folder = (): string => path.join(node.rootDir, 'device-plugins');
  const gpu = (script: string, count = '1') =>
    shell(script, { resources: { limits: { [resource]: count }, requests: { [resource]: count } } });
  const allocatable = async (): Promise<string | undefined> =>
    (await node.api.get(nodes, { name: nodeName })).status?.allocatable?.[resource];
  const log = async (name: string): Promise<string> =>
    (await node.fetch(kubelet, `/containerLogs/default/${name}/main`)).text;

  beforeAll(async () => {
    node = await TestNode.create();
    kubelet = await node.startKubelet();
    gpus = new Gpus(folder());
  });

  afterAll(async () => {
    gpus?.stop();
    await node?.close();
  });

  it('refuses a plugin of another version', async () => {
    const other = new Gpus(folder());
    await expect(other.start('v2')).rejects.toThrow('requested API version "v2" is not supported by kubelet');
    other.stop();
  });

  it("counts a plugin's devices into the node's resources and follows their health", async () => {
    await gpus.start();
    await eventually(async () => expect(await allocatable()).toBe('2'));
    gpus.set('gpu-1', 'Unhealthy');
    await eventually(async () => expect(await allocatable()).toBe('1'));
    expect((await node.api.get(nodes, { name: nodeName })).status?.capacity?.[resource]).toBe('2');
    gpus.set('gpu-1', 'Healthy');
    await eventually(async () => expect(await allocatable()).toBe('2'));
  });

  it('gives each container devices of its own, with what the plugin adds, and takes no pod too many, but for those of claims', async () => {
    const script = `echo $VISIBLE_GPUS $(test -c /dev/$VISIBLE_GPUS && echo device) $(ls /opt/driver/kubelet.sock); ${forever}`;
    await node.create('one', { containers: [gpu(script)] });
    await node.create('two', { containers: [gpu(script)] });
    await node.untilReady('one');
    await node.untilReady('two');
    await eventually(async () => {
      const logs = [await log('one'), await log('two')].sort();
      expect(logs).toEqual(['gpu-0 device /opt/driver/kubelet.sock\n', 'gpu-1 device /opt/driver/kubelet.sock\n']);
    });
    await node.create('three', { containers: [gpu(script)] });
    await eventually(async () =>
      expect((await node.get('three')).status).toMatchObject({ phase: 'Failed', reason: `OutOf${resource}` }),
    );
    await node.delete('three');
    const { metadata } = await node.create(
      'by-claim',
      { containers: [gpu(`echo has $VISIBLE_GPUS; ${forever}`)] },
      {
        extendedResourceClaimStatus: {
          requestMappings: [{ containerName: 'main', resourceName: resource, requestName: 'r' }],
          resourceClaimName: 'of-driver',
        },
      },
    );
    node.api.seed(resourceClaims, {
      metadata: { namespace: 'default', name: 'of-driver' },
      spec: {},
      status: { allocation: {}, reservedFor: [{ resource: 'pods', name: metadata.name, uid: metadata.uid }] },
    });
    await node.untilReady('by-claim');
    await eventually(async () => expect(await log('by-claim')).toBe('has\n'));
    await node.delete('by-claim');
    const had = (await log('two')).split(' ')[0];
    await node.delete('two');
    await node.create('four', { containers: [gpu(script)] });
    await node.untilReady('four');
    await eventually(async () => expect((await log('four')).split(' ')[0]).toBe(had));
  });

  it('tells by the status of a container whether its devices work', async () => {
    const resourceID = (await log('four')).split(' ')[0] ?? '';
    const untilTold = (health: string): Promise<void> =>
      eventually(async () => {
        const [main] = (await node.get('four')).status?.containerStatuses ?? [];
        expect(main?.allocatedResourcesStatus).toEqual([{ name: resource, resources: [{ resourceID, health }] }]);
      });
    await untilTold('Healthy');
    gpus.set(resourceID, 'Unhealthy');
    await untilTold('Unhealthy');
    gpus.set(resourceID, 'Healthy');
    await untilTold('Healthy');
  });

  it('knows over its restart who has which device, and offers none until the plugin is back', async () => {
    const had = (await log('four')).split(' ')[0];
    await node.stopKubelet(kubelet);
    gpus.stop();
    kubelet = await node.startKubelet();
    await eventually(async () => expect(await allocatable()).toBe('0'));
    gpus = new Gpus(folder());
    await gpus.start();
    await eventually(async () => expect(await allocatable()).toBe('2'));
    await node.delete('one');
    await node.create('five', { containers: [gpu(`echo $VISIBLE_GPUS; ${forever}`)] });
    await node.untilReady('five');
    await eventually(async () => expect(await log('five')).toMatch(/^gpu-/));
    expect((await log('five')).trim()).not.toBe(had);
    for (const name of ['four', 'five']) await node.delete(name);
  });

  it('gives a container devices of one NUMA node when the topology manager is to see to it', async () => {
    await node.stopKubelet(kubelet);
    gpus.stop();
    node.systemDevices = node.file('system');
    writeSystemDevices(node.systemDevices, machine({ sockets: 2, nodesPerSocket: 1, coresPerNode: 2, threads: 1 }));
    kubelet = await node.startKubelet(['--topology-manager-policy=single-numa-node']);
    gpus = new Gpus(folder());
    for (const [id, place] of Object.entries({ 'gpu-0': 0, 'gpu-1': 1, 'gpu-2': 1, 'gpu-3': 1 })) {
      gpus.devices.set(id, 'Healthy');
      gpus.places.set(id, place);
    }
    await gpus.start();
    await eventually(async () => expect(await allocatable()).toBe('4'));
    await node.create('near', { containers: [gpu(`echo $VISIBLE_GPUS; ${forever}`, '2')] });
    await node.untilReady('near');
    await node.create('apart', { containers: [gpu(forever, '2')] });
    await eventually(async () => expect(await log('near')).toBe('gpu-1,gpu-2\n'));
    await eventually(async () =>
      expect((await node.get('apart')).status).toMatchObject({ phase: 'Failed', reason: 'TopologyAffinityError' }),
    );
  });
});
