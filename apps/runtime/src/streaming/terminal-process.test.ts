import { runOnTerminal } from './terminal-process';

test('all output of a command on a terminal arrives before its exit code, however slowly it is taken', async () => {
  const script = 'head -c 300000 /dev/zero | tr "\\0" x; printf last; exit 9';
  for (const turns of [0, 3]) {
    let output = '';
    const terminal = await runOnTerminal('sh', ['-c', script], async piece => {
      for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve));
      output += piece.toString();
    });
    expect(await terminal.ended).toBe(9);
    expect([output.length, output.slice(-5)]).toEqual([300_004, 'xlast']);
  }
});
