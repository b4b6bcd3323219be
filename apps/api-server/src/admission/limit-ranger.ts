import {
  limitRanges,
  persistentVolumeClaims,
  pods,
  type Container,
  type LimitRange,
  type PersistentVolumeClaim,
  type Pod,
} from '@naru/api';
import { objectsOf } from './cached-objects';
import { isResource } from './is-resource';
import { claimProblems, podProblems } from './limits';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from './plugin';
import { refuse } from './refuse';

const annotation = 'kubernetes.io/limit-ranger';

type Amounts = Record<string, string>;

/** The limits of a namespace for single objects: fills in what containers leave out, and refuses what is outside them. */
export const limitRanger: AdmissionPlugin = {
  name: 'LimitRanger',
  handles: request =>
    (request.operation === 'create' && (isResource(request, pods) || isResource(request, persistentVolumeClaims))) ||
    (request.operation === 'update' &&
      (isResource(request, persistentVolumeClaims) || isResource(request, pods, 'resize'))),
  admit(request, deps) {
    if (!isResource(request, pods)) return;
    for (const { spec } of rangesOf(request, deps)) setDefaults(request.object as Pod, spec?.limits ?? []);
  },
  validate(request, deps) {
    const isPod = request.definition.type.resource === pods.resource;
    // What is on its way out may change in any way.
    if (request.operation === 'update' && request.old?.metadata?.deletionTimestamp) return;
    for (const { spec } of rangesOf(request, deps)) {
      const limits = spec?.limits ?? [];
      const problems = isPod
        ? podProblems(request.object as Pod, limits)
        : claimProblems(request.object as PersistentVolumeClaim, limits);
      if (problems.length > 0) throw refuse(request, problems.length === 1 ? problems[0]! : `[${problems.join(', ')}]`);
    }
  },
};

function rangesOf({ namespace }: AdmissionRequest, deps: AdmissionDeps): LimitRange[] {
  return objectsOf(deps, limitRanges, namespace);
}

function setDefaults(pod: Pod, limits: NonNullable<LimitRange['spec']>['limits']): void {
  const requests: Amounts = {};
  const maxima: Amounts = {};
  for (const limit of limits) {
    if (limit.type !== 'Container') continue;
    Object.assign(requests, limit.defaultRequest);
    Object.assign(maxima, limit.default);
  }
  const notes: string[] = [];
  for (const container of present(pod.spec?.containers)) fillIn(container, 'container', requests, maxima, notes);
  for (const container of present(pod.spec?.initContainers))
    fillIn(container, 'init container', requests, maxima, notes);
  if (notes.length === 0) return;
  const metadata = (pod.metadata ??= {});
  metadata.annotations = { ...metadata.annotations, [annotation]: `LimitRanger plugin set: ${notes.join('; ')}` };
}

/** Validation, which comes later, tells about lists that are missing or hold nothing. */
function present(list: readonly (Container | null)[] | null | undefined): Container[] {
  return (list ?? []).filter(each => each !== null);
}

function fillIn(container: Container, what: string, requests: Amounts, limits: Amounts, notes: string[]): void {
  for (const [field, word, defaults] of [
    ['requests', 'request', requests],
    ['limits', 'limit', limits],
  ] as const) {
    const missing = Object.keys(defaults).filter(name => container.resources?.[field]?.[name] === undefined);
    if (missing.length === 0) continue;
    container.resources ??= {};
    const added = Object.fromEntries(missing.map(name => [name, defaults[name]!]));
    container.resources[field] = { ...container.resources[field], ...added };
    notes.push(`${missing.sort().join(', ')} ${word} for ${what} ${container.name}`);
  }
}
