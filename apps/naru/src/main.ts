import { UsageError, describeFlags } from '@naru/foundation';
import { endWithReader } from './closed-output';
import { commands } from './commands/registry';

/** What the launcher does itself, before anything of this program exists. */
const launcherCommands = [
  ['kubectl', '...', 'run kubectl against the cluster; installs it if need be'],
  ['agent', '--server URL --token T', 'make this machine a node of a cluster elsewhere'],
  ['test', '[JEST ARGUMENTS]', 'run every test'],
];

function help(name?: string): void {
  const found = commands.find(command => command.name === name);
  if (found) {
    process.stdout.write(
      `Usage: naru ${found.name} ${found.usage}\n\n${found.summary}\n\n${describeFlags(found.flags)}\n`,
    );
    return;
  }
  const shown = commands.filter(({ hidden }) => !hidden).map(({ name, usage, summary }) => [name, usage, summary]);
  const rows = [...shown, ...launcherCommands].map(
    ([name, usage, summary]) => `  ${`${name} ${usage}`.padEnd(46)} ${summary}`,
  );
  process.stdout.write(`Usage: naru COMMAND\n\n${rows.join('\n')}\n\nnaru help COMMAND shows its flags.\n`);
}

/** Exit codes: 0 done, 1 failed, 2 a mistake on the command line. */
async function main([name, ...argv]: string[]): Promise<number> {
  if (!name || name === 'help' || name === '--help' || name === '-h') {
    help(argv[0]);
    return 0;
  }
  const command = commands.find(candidate => candidate.name === name);
  if (!command) throw new UsageError(`there is no command "${name}"; see naru help`);
  if (argv.includes('--help') || argv.includes('-h')) {
    help(name);
    return 0;
  }
  return (await command.run(argv)) ?? 0;
}

for (const output of [process.stdout, process.stderr]) endWithReader(output, code => process.exit(code));

main(process.argv.slice(2)).then(
  code => (process.exitCode = code),
  (error: Error) => {
    process.stderr.write(`naru: ${error.message}\n`);
    if (process.env['NARU_DEBUG']) process.stderr.write(`${error.stack}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  },
);
