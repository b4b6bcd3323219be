import type { ResourceClaim } from '@naru/api';
import type { OfferedDevice } from './device-view';
import type { Alternative } from './requests';

type Constraint = NonNullable<NonNullable<NonNullable<ResourceClaim['spec']>['devices']>['constraints']>[number];

/** The value of a fully qualified attribute as something to compare; undefined when the device has none. */
function valueOf({ device, slice }: OfferedDevice, attribute: string): string | undefined {
  const { attributes } = device;
  const own = `${slice.driver}/`;
  const short = attribute.startsWith(own) ? attribute.slice(own.length) : undefined;
  const value = attributes?.[attribute] ?? (short === undefined ? undefined : attributes?.[short]);
  return value && JSON.stringify(value);
}

export function concerns(requests: readonly string[] | undefined, { name, parent }: Alternative): boolean {
  return !requests?.length || requests.includes(name) || requests.includes(parent);
}

/** May the device join those that are chosen for the claim? */
export function satisfies(
  constraints: readonly Constraint[],
  chosen: readonly { alternative: Alternative; offered: OfferedDevice }[],
  alternative: Alternative,
  offered: OfferedDevice,
): boolean {
  return constraints.every(({ requests, matchAttribute, distinctAttribute }) => {
    if (!concerns(requests, alternative)) return true;
    const attribute = matchAttribute ?? distinctAttribute;
    if (attribute === undefined) return true;
    const value = valueOf(offered, attribute);
    if (value === undefined) return false;
    const others = chosen.filter(each => concerns(requests, each.alternative));
    return others.every(each => (valueOf(each.offered, attribute) === value) === (matchAttribute !== undefined));
  });
}
