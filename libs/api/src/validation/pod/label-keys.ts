import type { LabelSelector } from '../../types';
import { forbidden, invalid, type FieldError } from '../field-error';
import { qualifiedNameProblem } from '../names';

interface Selecting {
  labelSelector?: LabelSelector | undefined;
  matchLabelKeys?: readonly string[] | undefined;
  mismatchLabelKeys?: readonly string[] | undefined;
}

/** Keys of labels whose values a pod adds to a selector. Source: validateMatchLabelKeysAndMismatchLabelKeys. */
export function validateLabelKeys(selecting: Selecting, path: string, errors: FieldError[]): void {
  const { matchLabelKeys = [], mismatchLabelKeys = [], labelSelector } = selecting;
  validateKeys(matchLabelKeys, labelSelector, `${path}.matchLabelKeys`, errors);
  validateKeys(mismatchLabelKeys, labelSelector, `${path}.mismatchLabelKeys`, errors);
  // What the keys stand for has been added to the selector by then: a key that is there twice was there before.
  const selected = new Set(Object.keys(labelSelector?.matchLabels ?? {}));
  const places = new Map(matchLabelKeys.map((key, index) => [key, index]));
  for (const { key } of labelSelector?.matchExpressions ?? []) {
    const index = places.get(key);
    if (index !== undefined && selected.has(key))
      errors.push(invalid(`${path}[${index}]`, key, 'exists in both matchLabelKeys and labelSelector'));
    selected.add(key);
  }
  const mismatched = new Set(mismatchLabelKeys);
  for (const [index, key] of matchLabelKeys.entries())
    if (mismatched.has(key))
      errors.push(
        invalid(`${path}.matchLabelKeys[${index}]`, key, 'exists in both matchLabelKeys and mismatchLabelKeys'),
      );
}

/** Source: validateLabelKeys. */
function validateKeys(
  keys: readonly string[],
  selector: LabelSelector | undefined,
  path: string,
  errors: FieldError[],
): void {
  if (keys.length === 0) return;
  if (!selector) errors.push(forbidden(path, 'must not be specified when labelSelector is not set'));
  for (const [index, key] of keys.entries()) {
    const problem = qualifiedNameProblem(key);
    if (problem) errors.push(invalid(`${path}[${index}]`, key, problem));
  }
}
