import {
  coreEvents,
  coveredNames,
  definitions,
  events,
  persistentVolumeClaims,
  pods,
  resourceClaims,
  resourceQuotas,
  services,
  withResourcesInUse,
  type KubeObject,
  type Pod,
  type ResourceQuota,
  type ResourceType,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { equalJson } from '../../framework/canonical';
import { customTypes } from '../../framework/custom-types';
import { watch, type Controller, type ControllerDeps, type Watch } from '../../framework/controller';
import type { ClusterInformers } from '../../framework/informers';
import { isFinished } from '../../pods/pod-state';
import { usedBy, type Counted } from './quota-used';

/** Whatever was missed is found then. Upstream's --resource-quota-sync-period. */
const resyncMs = 300_000;
/** Custom resources are not followed: what was deleted of them is given back after this time. */
const customResyncMs = 5_000;

/** Those of which more than the number counts are kept whole. */
const measured = [pods, services, persistentVolumeClaims, resourceClaims];

function countedTypes(): ResourceType[] {
  const ignored = [coreEvents.resource, events.resource];
  return definitions
    .filter(
      ({ type, verbs, storedAs }) => type.namespaced && verbs.includes('create') && verbs.includes('list') && !storedAs,
    )
    .map(({ type }) => type)
    .filter(({ resource }) => !ignored.includes(resource));
}

function informerOf(type: ResourceType, informers: ClusterInformers) {
  const whole = measured.find(({ group, resource }) => group === type.group && resource === type.resource);
  return whole ? informers.get<KubeObject>(whole as ResourceType) : informers.metadata(type);
}

class QuotaReconciler {
  constructor(private readonly deps: ControllerDeps) {}

  async reconcile(key: string): Promise<ReconcileResult> {
    const { client, clock, informers } = this.deps;
    const quota = informers.lister(resourceQuotas).get(parseKey(key));
    if (!quota || quota.metadata.deletionTimestamp) return undefined;
    const custom = await this.customResources(quota);
    const counted = [...this.resources(quota), ...custom];
    const status = { hard: { ...quota.spec?.hard }, used: usedBy(quota, counted, clock.now()) };
    // With the version that was counted for: a charge that admission has made meanwhile must not be lost.
    if (!equalJson(status, quota.status))
      await client.update(resourceQuotas, { ...quota, status }, { subresource: 'status' });
    return { requeueAfterMs: custom.length > 0 ? customResyncMs : resyncMs };
  }

  private resources(quota: Stored<ResourceQuota>): Counted[] {
    const hard = Object.keys(quota.spec?.hard ?? {});
    return countedTypes()
      .filter(type => coveredNames(type, hard).length > 0)
      .map(type => ({ type, objects: informerOf(type, this.deps.informers).lister.list(quota.metadata.namespace) }));
  }

  private customResources(quota: Stored<ResourceQuota>): Promise<Counted[]> {
    const { client, informers } = this.deps;
    const hard = Object.keys(quota.spec?.hard ?? {});
    const { namespace } = quota.metadata;
    const types = customTypes(informers).filter(type => type.namespaced && coveredNames(type, hard).length > 0);
    return Promise.all(types.map(async type => ({ type, objects: (await client.list(type, { namespace })).items })));
  }
}

/** Creations are charged by admission; here it is about what is given back. */
function givenBack(type: ResourceType): Watch {
  return {
    attach(informers, enqueue) {
      const tell = ({ metadata }: KubeObject): void => {
        for (const quota of informers.lister(resourceQuotas).list(metadata?.namespace))
          if (coveredNames(type, Object.keys(quota.spec?.hard ?? {})).length > 0) enqueue(objectKey(quota));
      };
      const isMeasured = measured.some(({ resource }) => resource === type.resource);
      informerOf(type, informers).addHandler({
        onDelete: tell,
        onUpdate: (object, old) => {
          if (isMeasured && changesUsage(type, object, old)) tell(object);
        },
      });
    },
  };
}

/** Of pods their end, their deletion and what they may use, of the others whatever was asked for. */
function changesUsage(type: ResourceType, object: KubeObject, old: KubeObject): boolean {
  const spec = ({ spec }: KubeObject & { spec?: unknown }) => spec;
  if (type.resource !== pods.resource) return !equalJson(spec(object), spec(old));
  const [now, before] = [withResourcesInUse(object as Pod), withResourcesInUse(old as Pod)];
  const isResized = now !== object || before !== old;
  return (
    isFinished(object as Pod) !== isFinished(old as Pod) ||
    object.metadata?.deletionTimestamp !== old.metadata?.deletionTimestamp ||
    object.metadata?.generation !== old.metadata?.generation ||
    (isResized && !equalJson(now.spec, before.spec))
  );
}

/** Counts what each quota's namespace uses. */
export const resourceQuotaController: Controller = {
  name: 'resourcequota-controller',
  watches: () => [
    watch(resourceQuotas, quota => [objectKey(quota)], {
      relevant: (quota, old) => !equalJson(quota.spec, old.spec) || !equalJson(quota.status?.hard, quota.spec?.hard),
    }),
    ...countedTypes().map(givenBack),
  ],
  build(deps) {
    const reconciler = new QuotaReconciler(deps);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
