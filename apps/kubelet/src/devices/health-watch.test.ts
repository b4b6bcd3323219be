import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { silentLogger } from '@naru/foundation';
import { drahealth } from '@naru/proto';
import { eventually, SimulatedClock } from '@naru/testing';
import { HealthWatch } from './health-watch';

test('a watch asks again when its driver has ended it, and says nothing once it is closed', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-health-'));
  const address = `unix:${folder}/driver.sock`;
  const server = new Server();
  let [asked, cancelled, reports, lost] = [0, 0, 0, 0];
  server.addService(drahealth.DRAResourceHealthService, {
    nodeWatchResources: call => {
      call.on('cancelled', () => void cancelled++);
      call.write({ devices: [] });
      if (++asked === 1) call.end();
    },
  } satisfies drahealth.DRAResourceHealthServer);
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(address, ServerCredentials.createInsecure(), error => (error ? reject(error) : resolve())),
  );
  const client = new drahealth.DRAResourceHealthClient(address, credentials.createInsecure());
  const clock = new SimulatedClock();
  const watch = new HealthWatch({
    ...{ driver: 'gpu.example.com', client, clock, logger: silentLogger },
    onReport: () => void reports++,
    onLost: () => void lost++,
  });
  await eventually(() => expect({ reports, lost }).toEqual({ reports: 1, lost: 1 }));
  await clock.step(clock.now() + 5_000);
  await eventually(() => expect({ asked, reports, lost }).toEqual({ asked: 2, reports: 2, lost: 1 }));
  watch.close();
  await eventually(() => expect(cancelled).toBe(1));
  expect(lost).toBe(1);
  client.close();
  server.forceShutdown();
  fs.rmSync(folder, { recursive: true });
});
