import type { PodSpec } from '../../types';
import type { FieldError } from '../field-error';
import { validateHostUsers } from './host-users';

const problems = (spec: Partial<PodSpec>): string[] => {
  const errors: FieldError[] = [];
  validateHostUsers({ containers: [], ...spec }, 'spec', errors);
  return errors.map(({ field, detail }) => `${field}: ${detail}`);
};

test('a pod with a user namespace of its own shares no other namespace with the node', () => {
  const shared = { hostNetwork: true, hostPID: true, hostIPC: true };
  expect(problems(shared)).toEqual([]);
  expect(problems({ ...shared, hostUsers: true })).toEqual([]);
  const container = { name: 'main', volumeDevices: [{ name: 'disk', devicePath: '/dev/disk' }] };
  expect(problems({ ...shared, hostUsers: false, containers: [container] })).toEqual(
    ['hostNetwork', 'hostPID', 'hostIPC', 'containers[0].volumeDevices'].map(
      field => `spec.${field}: when \`hostUsers\` is false`,
    ),
  );
});

test('an unmasked /proc needs a user namespace', () => {
  const withMount = (procMount: string, hostUsers?: boolean): string[] =>
    problems({
      initContainers: [{ name: 'init', securityContext: { procMount } }],
      ...(hostUsers === undefined ? {} : { hostUsers }),
    });
  const field = 'spec.initContainers[0].securityContext.procMount';
  expect(withMount('Unmasked')).toEqual([`${field}: \`hostUsers\` must be false to use \`Unmasked\``]);
  expect(withMount('Unmasked', true)).toHaveLength(1);
  expect(withMount('Unmasked', false)).toEqual([]);
  expect(withMount('Default')).toEqual([]);
  expect(withMount('Open', false)).toEqual([`${field}: supported values: "Default", "Unmasked"`]);
});
