import { labelSelectorOf } from '../selectors/label-selector';
import type { LabelSelector } from '../types';

/** As metav1.FormatLabelSelector: <none> for an empty one, <error> for one that does not parse. */
export function formatSelector(selector: LabelSelector | undefined): string {
  try {
    return labelSelectorOf(selector).toString() || '<none>';
  } catch {
    return '<error>';
  }
}
