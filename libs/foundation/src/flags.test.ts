import { parseFlags, UsageError } from './flags';

const specs = {
  name: { description: 'a name', type: 'string', required: true },
  port: { description: 'a port', type: 'number', default: 80 },
  verbose: { description: 'say more', type: 'boolean', default: false },
  label: { description: 'labels', type: 'list' },
} as const;

test('flags are parsed in both forms, and absent ones get their default', () => {
  const flags = parseFlags(specs, ['--name=a', '--port', '81', '--verbose']);
  const port: number = flags.port;
  const label: string[] | undefined = flags.label;
  expect({ ...flags, port, label }).toEqual({ name: 'a', port: 81, verbose: true, label: undefined });
});

test('a list flag may repeat and may hold commas', () => {
  expect(parseFlags(specs, ['--name=a', '--label=x,y', '--label=z']).label).toEqual(['x', 'y', 'z']);
});

test.each([
  [['--port=1'], /--name is required/],
  [['--name=a', '--port=x'], /--port: "x" is not a number/],
  [['--name=a', '--verbose=maybe'], /--verbose: "maybe" is neither/],
  [['--name=a', '--nonsense=1'], /nonsense/],
])('%j is refused', (argv, message) => {
  expect(() => parseFlags(specs, argv)).toThrow(UsageError);
  expect(() => parseFlags(specs, argv)).toThrow(message);
});
