import type { FieldError } from '../field-error';
import { validateSysctls } from './sysctls';

test('names of kernel parameters are checked, whether they are safe or not', () => {
  const errors: FieldError[] = [];
  const names = ['foo-', 'kernel.shmmax', 'safe-and-unsafe', 'bar..', 'net/ipv4/ip_forward', '', 'kernel.shmmax'];
  validateSysctls(
    names.map(name => ({ name })),
    'spec.securityContext.sysctls',
    errors,
  );
  const at = (index: number): string => `spec.securityContext.sysctls[${index}].name`;
  expect(errors.map(({ field, type }) => [field, type])).toEqual([
    [at(0), 'FieldValueInvalid'],
    [at(3), 'FieldValueInvalid'],
    [at(5), 'FieldValueRequired'],
    [at(6), 'FieldValueDuplicate'],
  ]);
});
