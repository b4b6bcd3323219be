import { UsageError } from '@naru/foundation';
import { checkName } from './cluster';
import { clusterFlags, separate, wantArguments } from './command';

const specs = {
  ...clusterFlags,
  follow: { description: '', type: 'boolean' },
} as const;

test('flags and arguments may stand in any order', () => {
  expect(separate(specs, ['kill', '--cluster', 'e2e', 'worker-1', '--port-offset=5', '-f'])).toEqual({
    args: ['kill', 'worker-1'],
    flagArguments: ['--cluster', 'e2e', '--port-offset=5', '--follow'],
  });
});

test('everything after -- is an argument', () => {
  expect(separate(specs, ['a', '--', '--cluster', '-x']).args).toEqual(['a', '--cluster', '-x']);
});

test('a flag without its value and a wrong number of arguments are mistakes of usage', () => {
  expect(() => separate(specs, ['--cluster'])).toThrow(UsageError);
  expect(() => wantArguments(['a', 'b'], 1, 'logs PROCESS')).toThrow(/usage: naru logs PROCESS/);
});

test.each(['', 'A', '../x', 'a/b', '-a', 'a-', 'x'.repeat(23)])('the name %j is refused', name => {
  expect(() => checkName('cluster name', name)).toThrow(/cluster name/);
});
