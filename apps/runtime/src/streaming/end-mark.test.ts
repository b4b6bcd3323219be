import { EndMark } from './end-mark';

const take = (mark: EndMark, pieces: readonly string[]): { output: string; exitCode?: number | undefined } => {
  let output = '';
  let exitCode: number | undefined;
  for (const piece of pieces) {
    const taken = mark.take(Buffer.from(piece, 'latin1'));
    output += taken.output.toString('latin1');
    exitCode ??= taken.exitCode;
  }
  return { output, exitCode };
};

test('the mark at the end of the output is found however it is cut, and tells the exit code', () => {
  for (let first = 0; first < 50; first++) {
    const mark = new EndMark();
    const whole = `out\x1eput${mark.text}137;`;
    const pieces = [whole.slice(0, first), whole.slice(first, first + 2), whole.slice(first + 2)];
    expect(take(mark, pieces)).toEqual({ output: 'out\x1eput', exitCode: 137 });
  }
});

test('output that only begins like the mark is handed on', () => {
  const mark = new EndMark();
  expect(take(mark, ['a\x1e', 'b', mark.text.slice(0, 9), 'z;'])).toEqual({
    output: `a\x1eb${mark.text.slice(0, 9)}z;`,
    exitCode: undefined,
  });
  expect(take(mark, ['prompt$ '])).toMatchObject({ output: 'prompt$ ' });
});
