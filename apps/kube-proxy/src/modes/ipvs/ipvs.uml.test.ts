import path from 'node:path';
import { describeWhere, runKernelScenario, userModeLinuxObstacle } from '@naru/testing';
import { ipFamilies } from '../../desired/ip-family';
import { ipvsKernel } from '../../testing/ipvs-kernel';
import { modeCases } from '../../testing/mode-cases';
import { restartCases, serviceCases } from '../../testing/service-cases';

/** What scenario.ts checks with both families, besides the cases of every mode. */
const own = [
  'a port that the Service does not have is refused, and the node has its own',
  'an endpoint that leaves goes at once when it has no connections, and else keeps them with weight 0',
  'what the kernel refuses is tried again, and the next full sync puts all right',
  'the scheduler rr balances connections its way',
];
/** And with one: how a scheduler chooses has nothing to do with the family, nor what a Service asks for. */
const once = [
  'the scheduler lc balances connections its way',
  'the scheduler dh balances connections its way',
  'the scheduler sh balances connections its way',
  'the scheduler sed balances connections its way',
  'the scheduler nq balances connections its way',
  ...[...serviceCases, ...restartCases].map(({ name }) => name),
];

describeWhere(userModeLinuxObstacle(), 'the mode ipvs in the kernel', () => {
  let verdict: (check: string) => string | undefined;

  beforeAll(async () => {
    verdict = await runKernelScenario({
      entry: path.join(__dirname, 'scenario.ts'),
      dist: path.resolve(__dirname, '../../../../../dist'),
      ...ipvsKernel,
      memoryMb: 768,
      timeoutMs: 900_000,
    });
  }, 1_100_000);

  describe.each(ipFamilies)('with %s', family => {
    const names = [...own, ...modeCases.map(({ name }) => name), ...(family === 'IPv4' ? once : [])];
    test.each(names)('%s', name => expect(verdict(`${family} ${name}`)).toBeUndefined());
  });
});
