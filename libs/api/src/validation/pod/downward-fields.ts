import { parseNano } from '../../quantity';
import { invalid, notSupported, required, type FieldError } from '../field-error';
import { qualifiedNameProblem } from '../names';

/** What a variable can be taken from. */
export const envFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
/** What a file of a volume can be taken from. */
export const volumeFields = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];
const otherFields = ['spec.restartPolicy', 'spec.schedulerName', 'status.phase'];
const knownFields = new Set([...envFields, ...volumeFields, ...otherFields]);

interface FieldRef {
  apiVersion?: string | undefined;
  fieldPath: string;
}

/** A field of the pod: one of `allowed`, or one label or annotation. Source: core validation validateObjectFieldSelector. */
export function validateFieldRef(ref: FieldRef, allowed: readonly string[], path: string, errors: FieldError[]): void {
  const { apiVersion, fieldPath } = ref;
  if (!apiVersion) errors.push(required(`${path}.apiVersion`));
  else if (!fieldPath) errors.push(required(`${path}.fieldPath`));
  else {
    const [, map, key = ''] = /^(.*)\['(.*)'\]$/.exec(fieldPath) ?? [];
    const at = `${path}.fieldPath`;
    if (map === 'metadata.labels' || map === 'metadata.annotations') {
      const problem = qualifiedNameProblem(map === 'metadata.labels' ? key : key.toLowerCase());
      if (problem) errors.push(invalid(path, key, problem));
    } else if (map !== undefined) {
      const why = `error converting fieldPath: field label does not support subscript: ${fieldPath}`;
      errors.push(invalid(at, fieldPath, why));
    } else if (!knownFields.has(fieldPath)) {
      errors.push(invalid(at, fieldPath, `error converting fieldPath: field label not supported: ${fieldPath}`));
    } else if (!allowed.includes(fieldPath)) {
      errors.push(notSupported(at, fieldPath, allowed));
    }
  }
}

const resources = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
const hugePages = /^(limits|requests)\.(hugepages-)/;
const cpuDivisors = ['1m', '1'];
const byteDivisors = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'];

interface ResourceFieldRef {
  containerName?: string | undefined;
  resource: string;
  divisor?: string | undefined;
}

/** An amount of a container's resources. `ofVolume`: the container has to be named. Source: validateContainerResourceFieldSelector. */
export function validateResourceFieldRef(
  { containerName, resource, divisor = '0' }: ResourceFieldRef,
  path: string,
  errors: FieldError[],
  { ofVolume = false } = {},
): void {
  if (ofVolume && !containerName) errors.push(required(`${path}.containerName`));
  else if (!resource) errors.push(required(`${path}.resource`));
  else if (!resources.includes(resource) && !hugePages.test(resource))
    errors.push(notSupported(`${path}.resource`, resource, resources));
  const name = hugePages.test(resource) ? 'hugepages' : resource.slice(resource.indexOf('.') + 1);
  const divisors = name === 'cpu' ? cpuDivisors : byteDivisors;
  const value = parseNano(divisor);
  if (value === 0n || divisors.some(each => parseNano(each) === value)) return;
  const shown = name === 'cpu' ? divisors.join(' and ') : divisors.join(', ');
  errors.push(
    invalid(
      `${path}.divisor`,
      resource,
      `only divisor's values ${shown} are supported with the ${describe(name)} resource`,
    ),
  );
}

function describe(name: string): string {
  return name === 'ephemeral-storage' ? 'local ephemeral storage' : name;
}
