import type { Toleration } from '../types';
import { invalid, notSupported, required, type FieldError } from './field-error';
import { labelValueProblem, qualifiedNameProblem } from './names';

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function taintEffectError(effect: string | undefined, path: string): FieldError | undefined {
  if (!effect) return required(path);
  return effects.includes(effect) ? undefined : notSupported(path, effect, effects);
}

export function validateTolerations(
  tolerations: readonly Toleration[] | undefined,
  path: string,
  errors: FieldError[],
): void {
  for (const [index, toleration] of (tolerations ?? []).entries()) {
    const at = `${path}[${index}]`;
    const { key, operator, value = '', effect, tolerationSeconds } = toleration;
    if (key) {
      const problem = qualifiedNameProblem(key);
      if (problem) errors.push(invalid(`${at}.key`, key, problem));
    } else if (operator !== 'Exists') {
      errors.push(
        invalid(
          `${at}.operator`,
          operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (tolerationSeconds !== undefined && effect !== 'NoExecute')
      errors.push(invalid(`${at}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    if (!operator || operator === 'Equal') {
      const problem = labelValueProblem(value);
      if (problem) errors.push(invalid(`${at}.operator`, value, problem));
    } else if (operator === 'Exists') {
      if (value !== '')
        errors.push(invalid(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"));
    } else {
      errors.push(notSupported(`${at}.operator`, operator, ['Equal', 'Exists']));
    }
    if (effect && !effects.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, effects));
  }
}
