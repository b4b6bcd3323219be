import type { Pod } from '@naru/api';
import { api, makeNamespace, type Known } from './api';
import { Following } from './following';
import { caseObjects, podCases } from './node-pod-cases';
import { volumeCases } from './node-volume-cases';

// The pods of upstream's tests that look at what a container finds and how it ends: all of them side by side.
const cases = [...podCases, ...volumeCases];
let namespace: string;
const other = '/api/v1/namespaces/node-containers-other';
let pods: Following<Pod>;
const nameOf = (index: number): string => `case-${index}`;
const ended = ({ status }: Known<Pod>): boolean => ['Succeeded', 'Failed'].includes(status?.phase ?? '');

beforeAll(async () => {
  namespace = await makeNamespace('node-containers');
  for (const [resource, object] of caseObjects) await api.create(`${namespace}/${resource}`, object);
  await api.create('/api/v1/namespaces', { metadata: { name: 'node-containers-other' } });
  await api.create(`${other}/secrets`, { metadata: { name: 'letters' }, stringData: { data_1: 'not this one' } });
  pods = await Following.start(`${namespace}/pods`);
  await Promise.all(
    cases.map(({ spec }, index) => api.create(`${namespace}/pods`, { metadata: { name: nameOf(index) }, spec })),
  );
});
afterAll(async () => {
  pods.stop();
  await api.remove(namespace);
  await api.remove(other);
});

test.each(cases.map((podCase, index) => ({ ...podCase, index })))(
  'a container $name',
  async ({ index, until = ended, phase = 'Succeeded', output, check }) => {
    const pod = await pods.until(nameOf(index), until);
    expect(pod.status).toMatchObject({ phase });
    if (output) {
      const log = await api.text(`${namespace}/pods/${nameOf(index)}/log`);
      const wanted = typeof output === 'function' ? output(pod) : output;
      for (const part of wanted)
        if (typeof part === 'string') expect(log.split('\n')).toContain(part);
        else expect(log).toMatch(part);
    }
    check?.(pod);
  },
);
