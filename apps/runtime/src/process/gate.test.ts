import { eventually } from '@naru/testing';
import { Gate, type Stage } from './gate';

function setUp(patienceMs = 60_000): {
  begin: (name: string, stage: Stage) => () => void;
  begun: string[];
  gate: Gate;
} {
  const gate = new Gate({ slots: 2, patienceMs });
  const begun: string[] = [];
  const begin = (name: string, stage: Stage): (() => void) => {
    let end = (): void => undefined;
    const ended = new Promise<void>(resolve => (end = resolve));
    void gate.run(stage, () => {
      begun.push(name);
      return ended;
    });
    return end;
  };
  return { begin, begun, gate };
}

describe('Gate', () => {
  it('lets so many in at once, and what is nearer to its end first', async () => {
    const { begin, begun } = setUp();
    const ends = [begin('a', 'sandbox'), begin('b', 'sandbox')];
    begin('c', 'sandbox');
    begin('d', 'create');
    begin('e', 'start');
    expect(begun).toEqual(['a', 'b']);
    ends.forEach(end => end());
    await eventually(() => expect(begun).toEqual(['a', 'b', 'e', 'd']));
  });

  it('does not count what takes long', async () => {
    const { begin, begun } = setUp(5);
    begin('a', 'start');
    begin('b', 'start');
    const end = begin('c', 'start');
    begin('d', 'start');
    await eventually(() => expect(begun).toEqual(['a', 'b', 'c', 'd']));
    end();
  });

  it('hands failures on and gives the place back', async () => {
    const { gate } = setUp();
    for (let i = 0; i < 3; i++)
      await expect(gate.run('create', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await gate.run('create', () => Promise.resolve(1))).toBe(1);
  });
});
