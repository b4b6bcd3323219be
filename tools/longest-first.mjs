// The order in which jest starts test files. On a fresh machine it knows no durations and goes by the size of files; but those that do
// the longest work, in other kernels, are short, and would keep one worker busy while the others have nothing left to do.
import Sequencer from '@jest/test-sequencer';

/** A virtual machine takes two processors: the second starts when the first is done or nearly so. */
const first = ['every-mode.vm.test.ts', '.uml.test.ts', '.kernel.test.ts', 'machine.vm.test.ts'];

const rankOf = ({ path }) => {
  const rank = first.findIndex(end => path.endsWith(end));
  return rank < 0 ? first.length : rank;
};

export default class LongestFirst extends Sequencer {
  sort(tests) {
    return super.sort(tests).sort((one, other) => rankOf(one) - rankOf(other));
  }
}
