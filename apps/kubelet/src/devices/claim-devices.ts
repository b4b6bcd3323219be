import fs from 'node:fs';
import path from 'node:path';
import {
  isClaimReservedFor,
  isResourceClaimOf,
  resourceClaimName,
  resourceClaims,
  type Container,
  type Pod,
  type ResourceClaim,
  type Stored,
} from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import type { Clock, Logger } from '@naru/foundation';
import type { dra } from '@naru/proto';
import { DriverHealth, type DeviceHealth, type DeviceId, type Health } from './device-health';
import { DraDrivers } from './dra-drivers';

interface PreparedDevice {
  /** Of the claim; none: all of them. */
  requests: string[];
  cdi: string[];
  pool: string;
  device: string;
}

/** What a container has of a claim: one request, or all. */
interface Share {
  /** As the pod calls the claim. */
  name: string;
  claimName: string;
  request: string | undefined;
}

/** A claim whose devices drivers have made ready on this node, or are to take back. */
interface Prepared {
  claim: dra.Claim;
  /** By driver; a driver that has not answered yet has none, and is told all the same when the claim is not used any more. */
  devices: Record<string, PreparedDevice[]>;
  /** UIDs. */
  pods: string[];
}

export interface ClaimDevicesDeps {
  client: ObjectsClient;
  /** What is prepared is noted here: drivers must hear of its end also after a restart. */
  directory: string;
  clock: Clock;
  logger: Logger;
  /** Something else is known of the devices of these pods. */
  onHealth: (uids: readonly string[]) => void;
}

const retryMs = 10_000;

/** Has drivers make the devices of a pod's ResourceClaims ready, and take them back. Source: kubelet/cm/dra. */
export class ClaimDevices {
  readonly drivers: DraDrivers;
  private readonly driverHealth: DriverHealth;
  private readonly prepared: Map<string, Prepared>;
  /** Of each claim one call after the other: pods that share it must not prepare and unprepare it at once. */
  private readonly turns = new Map<string, Promise<unknown>>();
  private cancelRetry: (() => void) | undefined;
  private stopped = false;

  constructor(private readonly deps: ClaimDevicesDeps) {
    this.driverHealth = new DriverHealth({
      clock: deps.clock,
      onChange: (driver, isConcerned) => deps.onHealth(this.usersOf(driver, isConcerned)),
    });
    this.drivers = new DraDrivers({ ...deps, health: this.driverHealth });
    this.prepared = new Map(this.load().map(each => [each.claim.uid, each]));
  }

  /** Before the first container of the pod. Throws why that is not possible, in upstream's words. */
  async prepare(pod: Stored<Pod>): Promise<void> {
    const { namespace } = pod.metadata;
    const get = (name: string) => this.deps.client.get(resourceClaims, { namespace, name });
    for (const entry of pod.spec?.resourceClaims ?? []) {
      const name = resourceClaimName(pod, entry);
      if (name === null) continue;
      if (name === undefined) throw new Error(`the ResourceClaim of "${entry.name}" is not made yet`);
      const claim = await get(name);
      if (!isResourceClaimOf(pod, entry, claim))
        throw new Error(`ResourceClaim ${name} was not created for pod ${pod.metadata.name} (pod is not owner)`);
      await this.prepareFor(pod, claim);
    }
    const extended = pod.status?.extendedResourceClaimStatus?.resourceClaimName;
    if (extended) await this.prepareFor(pod, await get(extended));
  }

  private prepareFor(pod: Stored<Pod>, claim: Stored<ResourceClaim>): Promise<void> {
    const { name, uid } = pod.metadata;
    if (!isClaimReservedFor(claim, pod))
      throw new Error(`pod ${name} (${uid}) is not allowed to use ResourceClaim ${claim.metadata.name}`);
    return this.inTurn(claim.metadata.uid, () => this.prepareOne(uid, claim));
  }

  /** What the runtime is to be told for a container, for what it has of the pod's claims. */
  cdiDevices(pod: Pod, container: Container): string[] {
    const ids = [...ownShares(pod, container), ...extendedShares(pod, container)].flatMap(share =>
      this.devicesOf(pod, share).flatMap(({ cdi }) => cdi),
    );
    return [...new Set(ids)];
  }

  /** Whether the devices work that a container names; as in upstream not those that it has as extended resources. */
  health(pod: Pod, container: Container): DeviceHealth {
    return ownShares(pod, container).flatMap(share => {
      const resources = new Map<string, Health>();
      for (const { driver, pool, device, cdi } of this.devicesOf(pod, share)) {
        const id = cdi[0] ?? `${driver}/${pool}/${device}`;
        if (!resources.has(id)) resources.set(id, this.driverHealth.of({ driver, pool, device }));
      }
      if (resources.size === 0) return [];
      const name = share.request ? `claim:${share.name}/${share.request}` : `claim:${share.name}`;
      return [{ name, resources: [...resources].map(([resourceID, health]) => ({ resourceID, ...health })) }];
    });
  }

  private usersOf(driver: string, isConcerned: (id: DeviceId) => boolean): string[] {
    const users = [...this.prepared.values()]
      .filter(({ devices }) => devices[driver]?.some(each => isConcerned({ driver, ...each })))
      .flatMap(({ pods }) => pods);
    return [...new Set(users)];
  }

  private devicesOf(pod: Pod, { claimName, request }: Share): (PreparedDevice & { driver: string })[] {
    const own = [...this.prepared.values()].find(
      ({ claim, pods }) => claim.name === claimName && pods.includes(pod.metadata?.uid ?? ''),
    );
    return Object.entries(own?.devices ?? {})
      .flatMap(([driver, devices]) => devices.map(each => ({ driver, ...each })))
      .filter(({ requests }) => !request || requests.length === 0 || requests.some(each => isOf(each, request)));
  }

  /** Nothing of the pod runs any more. Drivers that do not answer are told again. */
  release(uid: string): void {
    const mine = [...this.prepared.values()].filter(({ pods }) => pods.includes(uid));
    if (mine.length === 0) return;
    for (const each of mine) each.pods = each.pods.filter(pod => pod !== uid);
    this.save();
    this.sweep();
  }

  /** Takes up what an earlier kubelet did not get to: `isHere` tells the pods that still are. */
  start(isHere: (uid: string) => boolean): void {
    for (const each of this.prepared.values()) each.pods = each.pods.filter(isHere);
    this.sweep();
  }

  stop(): void {
    this.stopped = true;
    this.cancelRetry?.();
    this.drivers.close();
    this.driverHealth.stop();
  }

  private inTurn(claimUid: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.turns.get(claimUid) ?? Promise.resolve()).then(work);
    const last: Promise<unknown> = turn
      .catch(() => undefined)
      .then(() => this.turns.get(claimUid) === last && this.turns.delete(claimUid));
    this.turns.set(claimUid, last);
    return turn;
  }

  private async prepareOne(podUid: string, { metadata, status }: Stored<ResourceClaim>): Promise<void> {
    const { namespace = '', name, uid } = metadata;
    const names = new Set((status?.allocation?.devices?.results ?? []).map(({ driver }) => driver));
    const known = this.prepared.get(uid) ?? { claim: { namespace, name, uid }, devices: {}, pods: [] };
    if (!known.pods.includes(podUid)) known.pods.push(podUid);
    this.prepared.set(uid, known);
    this.save();
    for (const driver of names) {
      // A driver may be called like what every object has.
      if (Object.hasOwn(known.devices, driver) && known.devices[driver]?.length) continue;
      known.devices[driver] = [];
      this.save();
      const devices = await this.drivers.prepare(driver, known.claim);
      known.devices[driver] = devices.map(({ requestNames, cdiDeviceIds, poolName, deviceName }) => ({
        ...{ requests: requestNames, cdi: cdiDeviceIds, pool: poolName, device: deviceName },
      }));
      this.save();
    }
  }

  private sweep(): void {
    for (const [uid, { pods }] of this.prepared)
      if (pods.length === 0) void this.inTurn(uid, () => this.unprepareUnused(uid));
  }

  /** Never rejects. */
  private async unprepareUnused(uid: string): Promise<void> {
    const unused = this.prepared.get(uid);
    // The next kubelet takes up what is left.
    if (!unused || unused.pods.length > 0 || this.stopped) return;
    const { claim, devices } = unused;
    try {
      for (const driver of Object.keys(devices)) await this.drivers.unprepare(driver, claim);
      this.prepared.delete(uid);
      this.save();
    } catch (err) {
      this.deps.logger.warn({ err, claim: claim.name }, 'devices of a claim could not be given back');
      this.cancelRetry?.();
      if (!this.stopped) this.cancelRetry = this.deps.clock.after(retryMs, () => this.sweep());
    }
  }

  private get checkpoint(): string {
    return path.join(this.deps.directory, 'dra_manager_state');
  }

  private save(): void {
    const temporary = `${this.checkpoint}.new`;
    fs.writeFileSync(temporary, JSON.stringify([...this.prepared.values()]), { mode: 0o600 });
    fs.renameSync(temporary, this.checkpoint);
  }

  private load(): Prepared[] {
    if (!fs.existsSync(this.checkpoint)) return [];
    try {
      return JSON.parse(fs.readFileSync(this.checkpoint, 'utf8')) as Prepared[];
    } catch (err) {
      this.deps.logger.warn({ err, file: this.checkpoint }, 'what devices of claims are prepared is not known');
      return [];
    }
  }
}

function ownShares(pod: Pod, { resources }: Container): Share[] {
  return (resources?.claims ?? []).flatMap(({ name, request }) => {
    const entry = pod.spec?.resourceClaims?.find(each => each.name === name);
    const claimName = entry && resourceClaimName(pod, entry);
    return claimName ? { name, claimName, request } : [];
  });
}

/** Of the claim that the scheduler has made for what containers ask for as extended resources. */
function extendedShares({ status }: Pod, { name }: Container): Share[] {
  const { resourceClaimName: claimName = '', requestMappings = [] } = status?.extendedResourceClaimStatus ?? {};
  return requestMappings
    .filter(({ containerName }) => containerName === name)
    .map(({ requestName, resourceName }) => ({ name: resourceName, claimName, request: requestName }));
}

/** A result names REQUEST/ALTERNATIVE where a container may name the request alone. */
function isOf(request: string, wanted: string): boolean {
  return request === wanted || request.startsWith(`${wanted}/`);
}
