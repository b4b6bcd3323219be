import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { pods } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { ConfigNode } from '../config/config-node';
import { createLab, makeNode, makePod, type Lab, type PodInput } from '../fixtures';
import { defaultProfile } from '../framework/profile';
import { plugins } from '../plugins/registry';
import { Extenders } from './extenders';
import { readExtender } from './extender-configuration';
import { HttpExtender } from './http-extender';

type Answer = (body: never) => unknown;

let server: http.Server;
let answers: Record<string, Answer>;
let asked: { verb: string; body: Record<string, unknown> }[];
let extenders: Extenders[];
let abort: AbortController;

beforeEach(async () => {
  answers = {};
  asked = [];
  extenders = [];
  abort = new AbortController();
  server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const verb = (request.url ?? '').split('/').pop() ?? '';
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
      asked.push({ verb, body });
      const answer = answers[verb];
      response.statusCode = answer ? 200 : 500;
      response.end(JSON.stringify(answer?.(body as never)));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
});

afterEach(() => {
  abort.abort();
  for (const each of extenders) each.close();
  server.close();
});

const urlPrefix = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/ext/`;

/** A running scheduler over the nodes a, b and c with one extender. */
function labWith(configuration: object): Lab {
  const patient = { urlPrefix: urlPrefix(), httpTimeout: '60s', ...configuration };
  const extender = readExtender(new ConfigNode(patient, 'extenders[0]'));
  const all = new Extenders([new HttpExtender(extender)], silentLogger);
  extenders.push(all);
  const nodes = ['a', 'b', 'c'].map(name => makeNode(name, { cpu: '2' }));
  const lab = createLab(nodes, { extenders: all, profiles: [defaultProfile(plugins)] });
  void lab.scheduler.run(abort.signal);
  return lab;
}

/** Waits for the pod's node, or for the event that says why there is none. */
async function place(lab: Lab, input: PodInput): Promise<string> {
  const pod = makePod(input);
  lab.api.seed(pods, pod);
  lab.scheduler.enqueue(pod, false);
  return eventually(() => {
    const event = lab.events.find(({ pod: about }) => about === pod.metadata.name);
    if (!event) throw new Error('nothing has happened yet');
    return event.message;
  });
}

test('an extender leaves nodes out and says why', async () => {
  answers['filter'] = () => ({ NodeNames: ['b'], FailedNodes: { a: 'too loud', c: 'too far' } });
  const lab = labWith({ filterVerb: 'filter', nodeCacheCapable: true });
  expect(await place(lab, { name: 'web' })).toBe('Successfully assigned default/web to b');
  expect(asked[0]?.body).toMatchObject({ Pod: { metadata: { name: 'web' } }, NodeNames: ['a', 'b', 'c'] });
  answers['filter'] = () => ({ nodenames: [], failedNodes: { a: 'too loud', b: 'too loud', c: 'too far' } });
  expect(await place(lab, { name: 'second' })).toMatch(/^0\/3 nodes are available: 1 too far, 2 too loud\./);
});

test('an extender without a cache is given whole nodes', async () => {
  answers['filter'] = ({ Nodes }: { Nodes: { items: unknown[] } }) => ({ Nodes: { items: Nodes.items.slice(2) } });
  const lab = labWith({ filterVerb: 'filter' });
  expect(await place(lab, { name: 'web' })).toMatch(/to c$/);
});

test("an extender's scores outweigh the plugins' by their weight", async () => {
  answers['score'] = () => [
    { Host: 'a', Score: 0 },
    { Host: 'b', Score: 1 },
    { Host: 'c', Score: 10 },
  ];
  const lab = labWith({ prioritizeVerb: 'score', weight: 100, nodeCacheCapable: true });
  lab.place('c', { cpu: '1' });
  expect(await place(lab, { name: 'web', cpu: '1' })).toMatch(/to c$/);
});

test('only pods that ask for a managed resource are its business, and the scheduler may leave that to it', async () => {
  answers['filter'] = () => ({ NodeNames: ['b'] });
  const managedResources = [{ name: 'example.com/tape', ignoredByScheduler: true }];
  const lab = labWith({ filterVerb: 'filter', nodeCacheCapable: true, managedResources });
  await place(lab, { name: 'plain' });
  expect(asked).toEqual([]);
  const containers = [{ name: 'main', image: 'x', resources: { requests: { 'example.com/tape': '1' } } }];
  expect(await place(lab, { name: 'taped', containers })).toMatch(/to b$/);
});

test('a failing extender holds pods back unless it is ignorable', async () => {
  const strict = labWith({ filterVerb: 'filter', nodeCacheCapable: true });
  expect(await place(strict, { name: 'held' })).toMatch(/failed filter with extender at URL .* code 500/);
  await eventually(async () => {
    const { status } = await strict.api.get(pods, { namespace: 'default', name: 'held' });
    expect(status?.conditions).toContainEqual(expect.objectContaining({ reason: 'SchedulerError', status: 'False' }));
  });
  const lenient = labWith({ filterVerb: 'filter', nodeCacheCapable: true, ignorable: true });
  expect(await place(lenient, { name: 'placed' })).toMatch(/^Successfully assigned/);
});

test('an extender that binds does so instead of the scheduler', async () => {
  answers['bind'] = () => ({});
  const lab = labWith({ bindVerb: 'bind' });
  expect(await place(lab, { name: 'web' })).toMatch(/^Successfully assigned/);
  expect(asked.at(-1)).toMatchObject({
    verb: 'bind',
    body: { PodName: 'web', PodNamespace: 'default', PodUID: 'uid-web' },
  });
  expect(lab.api.writes.filter(({ subresource }) => subresource === 'binding')).toEqual([]);
});

test('an extender has a say in which pods are preempted', async () => {
  answers['preempt'] = ({ NodeNameToMetaVictims }: { NodeNameToMetaVictims: object }) => ({
    NodeNameToMetaVictims: Object.fromEntries(Object.entries(NodeNameToMetaVictims).filter(([node]) => node === 'b')),
  });
  const lab = labWith({ preemptVerb: 'preempt', nodeCacheCapable: true });
  for (const node of ['a', 'b', 'c']) lab.place(node, { name: `low-${node}`, cpu: '2', priority: 1 });
  await place(lab, { name: 'high', cpu: '2', priority: 100 });
  await eventually(() => {
    const preempted = lab.events.filter(({ reason }) => reason === 'Preempted').map(({ pod }) => pod);
    expect(preempted).toEqual(['low-b']);
  });
  expect(lab.scheduler.nominator.nodeOf('uid-high')).toBe('b');
});
