import type { Container, Pod } from '@naru/api';
import { restartRound } from './restart-round';
import { emptyRuntime, type ContainerRecord } from './runtime-state';

const trigger = {
  name: 'trigger',
  restartPolicyRules: [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } }],
};
const pod = { spec: { initContainers: [{ name: 'init' }], containers: [trigger, { name: 'main' }] } } as Pod;

/** As `name:phase:round:exitCode`, the newest first. */
function round(of: Pod, ...records: string[]): { number: number; ending: string[] } {
  const containers = records.map(text => {
    const [name, phase, number, exitCode] = text.split(':');
    return { name, phase, round: Number(number), exitCode: Number(exitCode ?? 0) } as ContainerRecord;
  });
  const { number, ending } = restartRound(of, { ...emptyRuntime('u', 'ns', 'p'), containers });
  return { number, ending: ending.map(({ container }: { container: Container }) => container.name) };
}

test.each<[string, string[], number, string[]]>([
  ['nothing has run yet', [], 0, []],
  ['all is well', ['main:running:0', 'trigger:running:0', 'init:exited:0:0'], 0, []],
  ['it ends with another code', ['trigger:exited:0:1', 'main:running:0'], 0, []],
  ['another container ends with that code', ['main:exited:0:42', 'trigger:running:0'], 0, []],
  ['it asks while others run', ['trigger:exited:0:42', 'main:running:0', 'init:exited:0:0'], 0, ['main']],
  ['it asks, and a container of nobody in the spec runs on', ['trigger:exited:0:42', 'looking:running:0'], 1, []],
  ['the others have ended', ['trigger:exited:0:42', 'main:exited:0:137'], 1, []],
  ['the next round has begun', ['init:running:1', 'trigger:exited:0:42', 'main:exited:0:137'], 1, []],
  ['it asks again in the next round', ['trigger:exited:1:42', 'main:running:1', 'trigger:exited:0:42'], 1, ['main']],
])('when %s with %j, a pod is in round %i and %j have to end', (_, records, number, ending) => {
  expect(round(pod, ...records)).toEqual({ number, ending });
});

test('a pod in which nobody may restart all has no rounds', () => {
  const plain = { spec: { containers: [{ name: 'trigger' }] } } as Pod;
  expect(round(plain, 'trigger:exited:3:42')).toEqual({ number: 0, ending: [] });
});
