import type { Environment } from '@marcbachmann/cel-js';
import type { ResourceSlice } from '../../types';
import { budgetFor, runWithinBudget } from './budget';
import { kubernetesEnvironment, quantity } from './library';
import { compileProgram } from './program';
import { parseSemver } from './semver';

type Device = NonNullable<NonNullable<ResourceSlice['spec']>['devices']>[number];
type Attribute = NonNullable<Device['attributes']>[string];

/** Says whether a device of a driver is what was asked for. @throws Error when the expression fails on it */
export type DeviceSelector = (driver: string, device: Device) => boolean;

let environment: Environment | undefined;

/** What expressions see of a domain that a device says nothing of. */
const nothing = new Map<string, unknown>();

/** "domain/name" → value, by domain; names without one are of the driver's own. */
function byDomain<T>(driver: string, values: Record<string, T> | undefined, convert: (value: T) => unknown) {
  const domains = new Map<string, Map<string, unknown>>();
  for (const [key, value] of Object.entries(values ?? {})) {
    const slash = key.indexOf('/');
    const domain = slash < 0 ? driver : key.slice(0, slash);
    let names = domains.get(domain);
    if (!names) domains.set(domain, (names = new Map()));
    names.set(key.slice(slash + 1), convert(value));
  }
  // `device.attributes["other.example.com"].model` misses the model, not the domain.
  const get = domains.get.bind(domains);
  domains.get = domain => get(domain) ?? nothing;
  return domains;
}

function attributeToCel({ bool, int, string, version, bools, ints, strings, versions }: Attribute): unknown {
  if (version !== undefined) return parseSemver(version);
  if (int !== undefined) return BigInt(int);
  return string ?? bool ?? strings ?? bools ?? ints?.map(BigInt) ?? versions?.map(each => parseSemver(each)) ?? null;
}

/**
 * Compiles the `cel.expression` of a DeviceClass or a request. Source: dynamic-resource-allocation/cel/compile.go.
 * @throws Error in upstream's words
 */
export function compileDeviceSelector(text: string): DeviceSelector {
  environment ??= kubernetesEnvironment().registerVariable('device', 'dyn');
  const program = compileProgram(text, environment, { types: ['bool'], problem: 'must evaluate to bool' });
  return (driver, { attributes, capacity, allowMultipleAllocations = false }) => {
    const device = new Map<string, unknown>([
      ['driver', driver],
      ['allowMultipleAllocations', allowMultipleAllocations],
      ['attributes', byDomain(driver, attributes, attributeToCel)],
      ['capacity', byDomain(driver, capacity, ({ value }) => quantity(value))],
    ]);
    const result = runWithinBudget(program, { device }, budgetFor(attributes));
    if (typeof result !== 'boolean') throw new Error('must evaluate to bool');
    return result;
  };
}
