import {
  compileDeviceSelector,
  findUntoleratedTaint,
  type DeviceClass,
  type DeviceSelector,
  type ResourceClaim,
  type Stored,
} from '@naru/api';
import type { Lister } from '@naru/client';
import type { OfferedDevice } from './device-view';

type Claim = NonNullable<NonNullable<ResourceClaim['spec']>['devices']>;
type Request = NonNullable<Claim['requests']>[number];
type ExactRequest = NonNullable<Request['exactly']>;

/** One way to satisfy a request. */
export interface Alternative {
  /** As results name it: the request's, or request/sub-request. */
  name: string;
  /** The request's own name, which constraints and configurations may use for all its alternatives. */
  parent: string;
  deviceClass: Stored<DeviceClass>;
  /** Undefined: all that match. */
  count: number | undefined;
  adminAccess: boolean;
  tolerations: ExactRequest['tolerations'];
  /** @throws Error when an expression fails on the device */
  matches(offered: OfferedDevice): boolean;
}

/** A request of a claim with the ways to satisfy it, the best first. */
export type Choice = readonly Alternative[];

/** Expressions are few and their devices many. */
const maxSelectors = 1000;
const selectors = new Map<string, DeviceSelector>();

function selectorOf(expression: string): DeviceSelector {
  let selector = selectors.get(expression);
  if (!selector) {
    selector = compileDeviceSelector(expression);
    if (selectors.size >= maxSelectors) selectors.clear();
    selectors.set(expression, selector);
  }
  return selector;
}

/** @throws Error in upstream's words for a class that does not exist and an expression that does not compile */
export function choicesOf(claim: Stored<ResourceClaim>, classes: Lister<DeviceClass>): Choice[] {
  return (claim.spec?.devices?.requests ?? []).map(({ name, exactly, firstAvailable }) => {
    const wanted = exactly ? [{ ...exactly, name: undefined }] : (firstAvailable ?? []);
    return wanted.map(each => alternative(claim, name, each, classes));
  });
}

function alternative(
  { metadata }: Stored<ResourceClaim>,
  parent: string,
  wanted: Omit<ExactRequest, 'adminAccess'> & { name: string | undefined; adminAccess?: boolean | undefined },
  classes: Lister<DeviceClass>,
): Alternative {
  const { deviceClassName, tolerations, adminAccess = false } = wanted;
  const name = wanted.name === undefined ? parent : `${parent}/${wanted.name}`;
  const deviceClass = classes.get({ name: deviceClassName });
  if (!deviceClass) throw new Error(`request ${name}: device class ${deviceClassName} does not exist`);
  const all = [...(deviceClass.spec?.selectors ?? []), ...(wanted.selectors ?? [])].map(
    ({ cel }) => [cel?.expression ?? '', selectorOf(cel?.expression ?? '')] as const,
  );
  return {
    name,
    parent,
    deviceClass,
    count: wanted.allocationMode === 'All' ? undefined : (wanted.count ?? 1),
    adminAccess,
    tolerations,
    matches({ device, slice }) {
      if (findUntoleratedTaint(device.taints, tolerations, ['NoSchedule', 'NoExecute'])) return false;
      return all.every(([text, selector]) => {
        try {
          return selector(slice.driver, device);
        } catch (cause) {
          const message = (cause as Error).message.split('\n', 1)[0] ?? '';
          throw new Error(
            `claim ${metadata.namespace ?? ''}/${metadata.name}: request ${name}: CEL expression ${JSON.stringify(text)}: ${message}`,
            { cause },
          );
        }
      });
    },
  };
}
