import { coreEvents, type Pod } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { EventRecorder, type EventRecorderOptions } from '@naru/client';
import { eventually } from '@naru/foundation/testing';
import { MemoryObjects } from './memory-objects';
import { SimulatedClock } from './simulation/simulated-clock';

const pod = (name: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'default', name, uid: `uid-${name}` },
});

function recording(options: Partial<EventRecorderOptions> = {}) {
  const client = new MemoryObjects();
  const clock = new SimulatedClock();
  const recorder = new EventRecorder({
    client,
    clock,
    logger: silentLogger,
    component: 'kubelet',
    host: 'n',
    ...options,
  });
  const say = (message: string, { about = pod('a'), reason = 'Failed' } = {}): void =>
    recorder.record(about, { type: 'Warning', reason, message });
  const events = async () =>
    (await client.list(coreEvents)).items.map(({ message, count }) => `${count} × ${message}`).sort();
  return { client, clock, say, events };
}

const lines = (length: number, what = 'line'): string[] => Array.from({ length }, (_, i) => `${what} ${i}`);

test('an event that comes again is counted, also when its first one is not written yet', async () => {
  const { client, clock, say, events } = recording();
  for (let i = 0; i < 3; i++) say('no room');
  say('no room', { about: pod('b') });
  await eventually(async () => expect(await events()).toEqual(['1 × no room', '3 × no room']));
  await clock.step(clock.now() + 60_000);
  say('no room');
  await eventually(async () => expect(await events()).toContain('4 × no room'));
  const [event] = (await client.list(coreEvents)).items.filter(({ count }) => count === 4);
  expect(event).toMatchObject({
    metadata: { namespace: 'default', name: expect.stringMatching(/^a\.[0-9a-f]{16}$/) as string },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'a', uid: 'uid-a' },
    ...{ type: 'Warning', reason: 'Failed', source: { component: 'kubelet', host: 'n' } },
    ...{ firstTimestamp: '2026-01-01T00:00:00Z', lastTimestamp: '2026-01-01T00:01:00Z' },
  });
});

test('an event that has expired is written anew with its count', async () => {
  const { client, say, events } = recording();
  say('no room');
  await eventually(async () => expect(await events()).toEqual(['1 × no room']));
  const [event] = (await client.list(coreEvents)).items;
  await client.delete(coreEvents, event!.metadata);
  say('no room');
  await eventually(async () => expect(await events()).toEqual(['2 × no room']));
});

test('from the tenth message for one reason on, events are combined into one, until it was quiet for ten minutes', async () => {
  const { clock, say, events } = recording();
  for (const line of lines(12)) say(line);
  const first = lines(9).map(line => `1 × ${line}`);
  await eventually(async () =>
    expect(await events()).toEqual([...first, '3 × (combined from similar events): line 11']),
  );
  say('line 0');
  say('line 12', { reason: 'Other' });
  await eventually(async () => expect(await events()).toEqual(expect.arrayContaining(['2 × line 0', '1 × line 12'])));
  await clock.step(clock.now() + 601_000);
  say('line 13');
  await eventually(async () => expect(await events()).toContain('1 × line 13'));
});

test('of one object 25 are written at once, then one every five minutes, which tells how many there were', async () => {
  const { client, clock, say, events } = recording();
  for (let i = 0; i < 30; i++) say('again');
  say('fine', { about: pod('b') });
  await eventually(async () => expect(await events()).toEqual(['1 × fine', '25 × again']));
  expect(client.writes.length).toBe(26);
  await clock.step(clock.now() + 300_000);
  for (let i = 0; i < 4; i++) say('again');
  await eventually(async () => expect(await events()).toEqual(['1 × fine', '31 × again']));
});

test('of what differs only beyond what is written there is one event, and a clock that is set back holds nothing up', async () => {
  const { clock, say, events } = recording();
  const long = 'x'.repeat(1024);
  say(`${long}a`);
  await eventually(async () => expect(await events()).toEqual([`1 × ${long}`]));
  jest.spyOn(clock, 'now').mockReturnValue(clock.now() - 86_400_000);
  say(`${long}b`);
  await eventually(async () => expect(await events()).toEqual([`2 × ${long}`]));
});

test('the scheduler tells all, and every reason why', async () => {
  const { say, events } = recording({ countsOnly: true });
  for (const line of [...lines(40), ...lines(40)]) say(line);
  await eventually(async () =>
    expect(await events()).toEqual(
      lines(40)
        .map(line => `2 × ${line}`)
        .sort(),
    ),
  );
});
