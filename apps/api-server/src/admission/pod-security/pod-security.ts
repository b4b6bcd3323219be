import {
  cronJobs,
  daemonSets,
  deployments,
  invalidObject,
  jobs,
  namespaces,
  pods,
  podTemplates,
  replicaSets,
  replicationControllers,
  statefulSets,
  type CronJob,
  type Deployment,
  type KubeObject,
  type Pod,
  type PodSpec,
  type PodTemplateSpec,
} from '@naru/api';
import { warn } from '../../objects/request';
import { cacheOf, objectsOf } from '../cached-objects';
import { isResource } from '../is-resource';
import type { AdmissionDeps, AdmissionPlugin, AdmissionRequest } from '../plugin';
import { refuse } from '../refuse';
import { isStricter, labelProblems, violations, wantedLevel, type LevelVersion, type Violations } from './levels';

const workloads = [
  deployments,
  replicaSets,
  replicationControllers,
  statefulSets,
  daemonSets,
  jobs,
  cronJobs,
  podTemplates,
];
/** Pods that are looked at when a namespace becomes stricter. */
const maxPodsChecked = 3000;

/** Holds pods to the security level that their namespace asks for by labels. */
export const podSecurity: AdmissionPlugin = {
  name: 'PodSecurity',
  handles: request =>
    (request.operation === 'create' || request.operation === 'update') &&
    (isResource(request, pods) ||
      isResource(request, pods, 'ephemeralcontainers') ||
      isResource(request, namespaces) ||
      workloads.some(type => isResource(request, type))),
  validate(request, deps) {
    if (isResource(request, namespaces)) checkNamespace(request, deps);
    else if (request.definition.type.resource === pods.resource) checkPod(request, deps);
    else checkTemplate(request, deps);
  },
};

function labelsOf({ namespace }: AdmissionRequest, deps: AdmissionDeps) {
  return cacheOf(deps, namespaces).get('', namespace)?.labels;
}

const show = ({ level, version }: LevelVersion): string => JSON.stringify(`${level}:${version}`);

function checkPod(request: AdmissionRequest, deps: AdmissionDeps): void {
  const pod = request.object as Pod;
  if (!pod.spec || (request.old && !isSignificant(pod, request.old as Pod))) return;
  const labels = labelsOf(request, deps);
  const enforced = wantedLevel(labels, 'enforce');
  const found = violations(enforced, pod.spec, pod.metadata);
  if (found) throw refuse(request, `violates PodSecurity ${show(enforced)}: ${found.text}`);
  warnOf(request, wantedLevel(labels, 'warn'), pod.spec, pod.metadata);
}

/** What a workload will make is refused when it is made; who writes the workload hears of it now. */
function checkTemplate(request: AdmissionRequest, deps: AdmissionDeps): void {
  const template = templateOf(request.object!);
  if (!template?.spec) return;
  warnOf(request, wantedLevel(labelsOf(request, deps), 'warn'), template.spec, template.metadata);
}

function templateOf(object: KubeObject): PodTemplateSpec | undefined {
  const { spec, template } = object as Deployment & { template?: PodTemplateSpec };
  return spec?.template ?? template ?? (object as CronJob).spec?.jobTemplate?.spec?.template;
}

function warnOf(request: AdmissionRequest, level: LevelVersion, spec: PodSpec, metadata: Pod['metadata']): void {
  const found = violations(level, spec, metadata);
  if (found) warn(request, [`would violate PodSecurity ${show(level)}: ${found.text}`]);
}

/** Whether an update changes what containers there are or what they run. */
function isSignificant({ spec: next }: Pod, { spec: old }: Pod): boolean {
  const images = (spec: PodSpec | undefined): string =>
    JSON.stringify(
      [spec?.initContainers, spec?.containers, spec?.ephemeralContainers].map(list => list?.map(c => c.image)),
    );
  return images(next) !== images(old);
}

function checkNamespace(request: AdmissionRequest, deps: AdmissionDeps): void {
  const labels = request.object?.metadata?.labels;
  const before = request.old?.metadata?.labels;
  const errors = labelProblems(labels);
  if (errors.length > 0 && labelProblems(before).length === 0)
    throw invalidObject(request.definition.type, request.name, errors);
  const enforced = wantedLevel(labels, 'enforce');
  if (request.operation === 'update' && isStricter(enforced, wantedLevel(before, 'enforce')))
    warn(request, existingPods(request.name, enforced, deps));
}

/** The pods that would not be let in any more, those that are wrong in the same way together. */
function existingPods(namespace: string, level: LevelVersion, deps: AdmissionDeps): string[] {
  const byReason = new Map<string, string[]>();
  for (const { metadata, spec } of objectsOf(deps, pods, namespace).slice(0, maxPodsChecked)) {
    const found: Violations | undefined = spec && violations(level, spec, metadata);
    if (!found) continue;
    const key = found.reasons.join(', ');
    byReason.set(key, [...(byReason.get(key) ?? []), metadata?.name ?? '']);
  }
  if (byReason.size === 0) return [];
  const lines = [...byReason].map(([reasons, [first, ...others]]) => {
    const more = others.length === 0 ? '' : ` (and ${others.length} other ${others.length === 1 ? 'pod' : 'pods'})`;
    return `${first}${more}: ${reasons}`;
  });
  const opening = `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${show(level)}`;
  return [opening, ...lines.sort()];
}
