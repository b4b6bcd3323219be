import { cri } from '@naru/proto';
import { criSignalNumber, signalNumber, toCriSignal } from './stop-signals';

test.each([
  [undefined, 15],
  ['SIGQUIT', 3],
  ['quit', 3],
  ['9', 9],
  ['SIGRTMIN+3', 37],
  ['SIGRTMAX-1', 63],
  ['NONSENSE', 15],
  ['99', 15],
])('the stop signal %s is number %d', (name, number) => {
  expect(signalNumber(name)).toBe(number);
});

test('every signal keeps its number on the way through the protocol', () => {
  for (const number of [1, 3, 9, 15, 34, 35, 37, 49, 50, 63, 64])
    expect(criSignalNumber(toCriSignal(number))).toBe(number);
  expect(criSignalNumber(cri.Signal.RUNTIME_DEFAULT)).toBe(15);
});
