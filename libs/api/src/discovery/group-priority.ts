import { compareVersions } from '../scheme/compare-versions';

/** In this order clients look for a name that several groups have. Source: kube-apiserver's local APIServices. */
const priorities: Record<string, number> = {
  '': 18_000,
  'apiregistration.k8s.io': 17_900,
  apps: 17_800,
  'events.k8s.io': 17_750,
  'authentication.k8s.io': 17_700,
  'authorization.k8s.io': 17_600,
  autoscaling: 17_500,
  batch: 17_400,
  'certificates.k8s.io': 17_300,
  'networking.k8s.io': 17_200,
  policy: 17_100,
  'rbac.authorization.k8s.io': 17_000,
  'storage.k8s.io': 16_800,
  'apiextensions.k8s.io': 16_700,
  'admissionregistration.k8s.io': 16_700,
  'scheduling.k8s.io': 16_600,
  'coordination.k8s.io': 16_500,
  'node.k8s.io': 16_300,
  'discovery.k8s.io': 16_200,
  'flowcontrol.apiserver.k8s.io': 16_100,
  'resource.k8s.io': 15_900,
};
const customPriority = 1_000;

/** The groupPriorityMinimum of a local APIService. */
export function groupPriority(group: string): number {
  return priorities[group] ?? customPriority;
}

/** Built-in groups come first, in upstream's order; of equal ones, by name. */
export function compareGroups(a: string, b: string): number {
  return groupPriority(b) - groupPriority(a) || (a < b ? -1 : a > b ? 1 : 0);
}

const builtInVersionPriority = 15;
const customVersionPriority = 100;

/** The versionPriority of a local APIService: higher for the version that is preferred. */
export function versionPriority(group: string, version: string, versions: readonly string[]): number {
  const least = group in priorities ? builtInVersionPriority : customVersionPriority;
  const place = [...versions].sort(compareVersions).reverse().indexOf(version);
  return least + Math.max(place, 0);
}
