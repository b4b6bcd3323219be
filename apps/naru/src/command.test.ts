import { UsageError } from '@naru/foundation';
import { checkName } from './cluster';
import { clusterFlags, command, separate } from './command';

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

test('a flag without its value is a mistake of usage', () => {
  expect(() => separate(specs, ['--cluster'])).toThrow(UsageError);
});

test('a command refuses more or fewer arguments than it takes', async () => {
  const definition = { name: 'logs', usage: 'PROCESS', summary: '', flags: clusterFlags, run: async () => 0 };
  const one = command({ ...definition, takes: 1 });
  expect(() => one.run(['a', 'b'])).toThrow(/usage: naru logs PROCESS/);
  expect(() => one.run([])).toThrow(UsageError);
  expect(() => command(definition).run(['extra'])).toThrow(UsageError);
  await expect(one.run(['a'])).resolves.toBe(0);
});

test.each(['', 'A', '../x', 'a/b', '-a', 'a-', 'x'.repeat(23)])('the name %j is refused', name => {
  expect(() => checkName('cluster name', name)).toThrow(/cluster name/);
});
