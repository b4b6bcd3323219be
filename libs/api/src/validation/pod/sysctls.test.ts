import type { FieldError } from '../field-error';
import { validateSysctls } from './sysctls';

test('names of kernel parameters are checked, whether they are safe or not', () => {
  const errors: FieldError[] = [];
  const names = ['foo-', 'kernel.shmmax', 'safe-and-unsafe', 'bar..', 'net/ipv4/ip_forward', '', 'kernel.shmmax'];
  validateSysctls(
    names.map(name => ({ name })),
    {},
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

test('kernel parameters of namespaces that a pod shares with its node are refused', () => {
  const errors: FieldError[] = [];
  const names = ['net/ipv4/ip_forward', 'kernel.shmmax', 'fs.mqueue.msg_max', 'kernel.sem', 'vm.swappiness'];
  const sysctls = names.map(name => ({ name }));
  validateSysctls(sysctls, { hostNetwork: true }, 'spec.securityContext.sysctls', errors);
  validateSysctls(sysctls, { hostIPC: true }, 'spec.securityContext.sysctls', errors);
  expect(errors.map(({ badValue, detail }) => [badValue, detail])).toEqual([
    ['net/ipv4/ip_forward', "may not be specified when 'hostNetwork' is true"],
    ['kernel.shmmax', "may not be specified when 'hostIPC' is true"],
    ['fs.mqueue.msg_max', "may not be specified when 'hostIPC' is true"],
    ['kernel.sem', "may not be specified when 'hostIPC' is true"],
  ]);
});
