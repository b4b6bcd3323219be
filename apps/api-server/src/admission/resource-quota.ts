import {
  addQuantities,
  coveredNames,
  formatQuantities,
  missingAmounts,
  parseQuantities,
  persistentVolumeClaims,
  pods,
  quotaMatches,
  quotaUsage,
  resourceQuotas,
  services,
  type KubeObject,
  type Pod,
  type Quantities,
  type ResourceQuota,
} from '@naru/api';
import { KeyLocks } from '../objects/key-locks';
import { cacheOf, objectsOf, sharedObject } from './cached-objects';
import { isResource } from './is-resource';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from './plugin';
import { refuse } from './refuse';

/** Other servers of the same store charge the same quotas; more conflicts in a row than any of them makes. */
const maxConflicts = 100;

/**
 * Charges what is created to the quotas of its namespace, at once and before it is stored, so that no number of writers
 * at the same time gets past a limit. What is given back is counted by the resource quota controller.
 */
export function resourceQuota(): AdmissionPlugin {
  const locks = new KeyLocks();
  return {
    name: 'ResourceQuota',
    handles: isCharged,
    validate(request, deps) {
      if (objectsOf(deps, resourceQuotas, request.namespace).length === 0) return;
      return locks.run(request.namespace, () => charge(request, deps));
    },
  };
}

function isCharged(request: AdmissionRequest): boolean {
  const { operation, namespace, subresource, definition } = request;
  if (namespace === '' || definition.type.resource === 'events') return false;
  if (operation === 'create') return subresource === '';
  if (operation !== 'update') return false;
  return (
    isResource(request, services) || isResource(request, persistentVolumeClaims) || isResource(request, pods, 'resize')
  );
}

async function charge(request: AdmissionRequest, deps: AdmissionDeps): Promise<void> {
  const { namespace, dryRun } = request;
  const concerned = objectsOf(deps, resourceQuotas, namespace).filter(quota => concerns(quota, request));
  const added = addedUsage(request, deps);
  if (added.size === 0) return;
  for (const quota of concerned) chargedUsage(quota, added, request);
  if (dryRun) return;
  for (const { metadata } of concerned) await store(metadata!.name!, added, request, deps);
}

/** Whether a quota counts the object. @throws StatusError Forbidden when it cannot be counted */
function concerns(quota: ResourceQuota, request: AdmissionRequest): boolean {
  const { definition, object } = request;
  const hard = Object.keys(quota.status?.hard ?? {});
  if (!quotaMatches(quota, definition.type, object!, hard)) return false;
  const names = coveredNames(definition.type, hard).sort();
  const name = quota.metadata?.name;
  const missing = definition.type.resource === pods.resource ? missingAmounts(object as Pod, names) : undefined;
  if (missing) throw refuse(request, `failed quota: ${name}: ${missing}`);
  if (names.some(each => quota.status?.used?.[each] === undefined))
    throw refuse(request, `status unknown for quota: ${name}, resources: ${names.join(',')}`);
  return true;
}

/** What the request takes more than there was. */
function addedUsage(
  { definition, operation, object, old, ...request }: AdmissionRequest,
  deps: AdmissionDeps,
): Quantities {
  const usage = (o: KubeObject): Quantities => quotaUsage(definition.type, o, deps.clock.now());
  const added = usage(object!);
  const before: Quantities = operation === 'update' && old ? usage(old) : new Map();
  const negative = [...added].filter(([, amount]) => amount.nano < 0n).map(([name]) => name);
  if (negative.length > 0)
    throw refuse(
      { definition, operation, object, old, ...request },
      `quota usage is negative for resource(s): ${negative.sort().join(',')}`,
    );
  for (const [name, amount] of added) {
    const rest = before.has(name) ? amount.subtract(before.get(name)!) : amount;
    if (rest.nano > 0n) added.set(name, rest);
    else added.delete(name);
  }
  return added;
}

/** The usage of the quota with what is added. @throws StatusError Forbidden when that is too much */
function chargedUsage({ metadata, status }: ResourceQuota, added: Quantities, request: AdmissionRequest): Quantities {
  const hard = parseQuantities(status?.hard);
  const used = parseQuantities(status?.used);
  const requested: Quantities = new Map([...added].filter(([name]) => hard.has(name)));
  const charged = addQuantities(used, requested);
  const exceeded = [...requested.keys()].filter(name => charged.get(name)!.compare(hard.get(name)!) > 0).sort();
  if (exceeded.length === 0) return charged;
  const show = (amounts: Quantities): string =>
    exceeded.map(name => `${name}=${amounts.get(name)?.toString() ?? '0'}`).join(',');
  throw refuse(
    request,
    `exceeded quota: ${metadata?.name}, requested: ${show(requested)}, used: ${show(used)}, limited: ${show(hard)}`,
  );
}

async function store(name: string, added: Quantities, request: AdmissionRequest, deps: AdmissionDeps): Promise<void> {
  const cache = cacheOf(deps, resourceQuotas);
  for (let attempt = 0; attempt < maxConflicts; attempt++) {
    const entry = cache.get(request.namespace, name);
    // It is gone: nothing is limited any more.
    if (!entry) return;
    const quota = sharedObject<ResourceQuota>(entry);
    const used = formatQuantities(chargedUsage(quota, added, request));
    const object = { ...quota, status: { ...quota.status, used } };
    const write = { definition: cache.definition, namespace: request.namespace, name, object };
    if (await deps.storage.commit({ ...write, expected: entry.revision })) return;
  }
  throw refuse(request, `quota ${name} is changed too often to be charged`);
}
