import { podCases } from './node-pod-cases';
import { volumeCases } from './node-volume-cases';
import { PodCaseRun } from './pod-case-run';

// The pods of upstream's tests that look at what a container finds and how it ends.
const cases = [...podCases, ...volumeCases];
let run: PodCaseRun;

beforeAll(async () => {
  run = await PodCaseRun.start('node-containers', cases);
});
afterAll(() => run?.end());

test.each(cases.map(({ name }, index) => ({ name, index })))('a container $name', ({ index }) => run.check(index));
