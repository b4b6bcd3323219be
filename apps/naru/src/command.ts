import { UsageError, parseFlags, type FlagSpec, type Flags } from '@naru/foundation';

/** What every command gets. */
export interface Invocation<T extends Record<string, FlagSpec> = Record<string, FlagSpec>> {
  flags: Flags<T>;
  /** Arguments that are no flags, in their order. */
  args: string[];
}

/** One word after `naru`. Adding a command is a file in commands/ and a line in commands/registry.ts. */
export interface Command {
  name: string;
  /** What comes after the name, for the help. */
  usage: string;
  summary: string;
  flags: Record<string, FlagSpec>;
  /** Not shown in the help: for our own scripts. */
  hidden?: boolean;
  /** Answers the exit code; none means 0. */
  run(argv: string[]): Promise<number | void>;
}

/** Flags that any command takes, so that a cluster's flags can be kept in one variable and given to all of them. */
export const clusterFlags = {
  cluster: { description: 'name of the cluster', type: 'string', default: process.env['NARU_CLUSTER'] ?? 'naru' },
  'port-offset': { description: 'added to every port of the control plane (up)', type: 'number' },
  'node-cidr': { description: 'network between the nodes (up), default 10.95.0.0/24', type: 'string' },
} as const satisfies Record<string, FlagSpec>;

/** Makes a command whose `run` gets its flags parsed and typed. */
export function command<const T extends Record<string, FlagSpec>>(definition: {
  name: string;
  usage: string;
  summary: string;
  flags: T;
  /** How many arguments it takes; "any" when it looks at them itself. */
  takes?: number | 'any';
  hidden?: boolean;
  run(invocation: Invocation<T>): Promise<number | void>;
}): Command {
  return {
    ...definition,
    run: argv => {
      const { args, flagArguments } = separate(definition.flags, argv);
      const { takes = 0 } = definition;
      if (takes !== 'any' && args.length !== takes)
        throw new UsageError(`usage: naru ${definition.name} ${definition.usage}`);
      return definition.run({ args, flags: parseFlags(definition.flags, flagArguments) });
    },
  };
}

/** Tells flags, with their values, from the other arguments; everything after `--` is an argument. */
export function separate(specs: Record<string, FlagSpec>, argv: string[]): { args: string[]; flagArguments: string[] } {
  const args: string[] = [];
  const flagArguments: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') return { args: [...args, ...argv.slice(i + 1)], flagArguments };
    const name = word === '-f' ? 'follow' : word.slice(2);
    if (word === '-f') flagArguments.push('--follow');
    else if (!word.startsWith('-') || word === '-') args.push(word);
    else flagArguments.push(word);
    if (word.startsWith('--') && !word.includes('=') && specs[name] && specs[name].type !== 'boolean') {
      const value = argv[++i];
      if (value === undefined) throw new UsageError(`flag --${name} needs a value`);
      flagArguments.push(value);
    }
  }
  return { args, flagArguments };
}
