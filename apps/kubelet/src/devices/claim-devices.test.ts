import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { resourceClaims, type Pod, type Stored } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import { dra } from '@naru/proto';
import { eventually, MemoryObjects } from '@naru/testing';
import { ClaimDevices } from './claim-devices';

describe('devices of claims', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'claims-'));
  const api = new MemoryObjects();
  const calls: string[] = [];
  const servers: Server[] = [];
  let devices: ClaimDevices;

  /** A driver that answers after `ready`. */
  async function serve(driver: string, ready: Promise<void>): Promise<void> {
    const server = new Server();
    const answer = async (what: string, claims: readonly dra.Claim[]) => {
      calls.push(...claims.map(({ name }) => `${what} ${name}`));
      await ready;
      return { claims: Object.fromEntries(claims.map(({ uid }) => [uid, { devices: [], error: '' }])) };
    };
    server.addService(dra.DRAPluginService, {
      nodePrepareResources: ({ request }, callback) =>
        void answer('prepare', request.claims).then(each => callback(null, each)),
      nodeUnprepareResources: ({ request }, callback) =>
        void answer('unprepare', request.claims).then(each => callback(null, each)),
    } satisfies dra.DRAPluginServer);
    const socket = path.join(directory, `${driver}.sock`);
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), error =>
        error ? reject(error) : resolve(),
      ),
    );
    servers.push(server);
    await devices.drivers.register(driver, socket, ['v1.DRAPlugin']);
  }

  function podWith(name: string, driver: string): Stored<Pod> {
    const uid = `uid-${name}`;
    api.seed(resourceClaims, {
      metadata: { namespace: 'default', name, uid: `claim-${name}` },
      spec: {},
      status: {
        allocation: { devices: { results: [{ request: 'main', driver, pool: 'p', device: 'd' }] } },
        reservedFor: [{ resource: 'pods', name, uid }],
      },
    });
    return {
      metadata: { namespace: 'default', name, uid, resourceVersion: '1', creationTimestamp: '' },
      spec: { containers: [], resourceClaims: [{ name: 'card', resourceClaimName: name }] },
    };
  }

  beforeAll(
    () =>
      (devices = new ClaimDevices({
        client: api,
        directory,
        clock: systemClock,
        logger: silentLogger,
        onHealth: () => undefined,
      })),
  );
  afterAll(() => {
    devices.stop();
    for (const server of servers) server.forceShutdown();
    fs.rmSync(directory, { recursive: true });
  });

  it('of a driver that hangs keep nobody waiting but its own pods, and are given back after they were made ready', async () => {
    let release = (): void => undefined;
    await serve('slow', new Promise<void>(resolve => (release = resolve)));
    await serve('fast', Promise.resolve());
    const waiting = devices.prepare(podWith('waits', 'slow'));
    await eventually(() => expect(calls).toEqual(['prepare waits']));
    await devices.prepare(podWith('runs', 'fast'));
    devices.release('uid-runs');
    await eventually(() => expect(calls).toEqual(['prepare waits', 'prepare runs', 'unprepare runs']));
    devices.release('uid-waits');
    release();
    await waiting;
    await eventually(() => expect(calls.at(-1)).toBe('unprepare waits'));
  });
});
