import { deepEqual } from './deep-equal';
import type { Container, Pod } from './types';

/** Something that not every kubelet of a cluster may know, and by what pods one sees that they need it. */
interface DeclaredFeature {
  name: string;
  /** The pod cannot run without it. */
  isNeededToRun?: (spec: PodSpec) => boolean;
  /** The change of a pod that has a node cannot be carried out without it. */
  isNeededToUpdate?: (next: PodSpec, old: PodSpec) => boolean;
}

type PodSpec = NonNullable<Pod['spec']>;

const changed = (a: unknown, b: unknown): boolean => !deepEqual(a ?? {}, b ?? {});

function restartsAllContainers({ restartPolicyRules = [] }: Container): boolean {
  return restartPolicyRules.some(({ action }) => action === 'RestartAllContainers');
}

/** Sorted by name. Source: component-helpers/nodedeclaredfeatures/features/registry.go of v1.36. */
const registry: readonly DeclaredFeature[] = [
  // Nobody's pod depends on it: the api-server may leave WebSockets to such a kubelet.
  { name: 'ExtendWebSocketsToKubelet' },
  {
    name: 'InPlacePodLevelResourcesVerticalScaling',
    isNeededToUpdate: (next, old) => changed(next.resources, old.resources),
  },
  {
    name: 'InPlacePodVerticalScalingInitContainers',
    isNeededToUpdate: (next, old) =>
      (old.initContainers ?? []).some(
        ({ restartPolicy, resources }, index) =>
          restartPolicy !== 'Always' && changed(resources, next.initContainers?.[index]?.resources),
      ),
  },
  {
    name: 'RestartAllContainersOnContainerExits',
    isNeededToRun: spec => [...spec.containers, ...(spec.initContainers ?? [])].some(restartsAllContainers),
  },
  {
    name: 'UserNamespacesHostNetworkSupport',
    isNeededToRun: ({ hostNetwork, hostUsers }) => hostNetwork === true && hostUsers === false,
  },
];

/** What a node has to declare in `status.declaredFeatures` to run the pod. */
export function featuresToRun(spec: PodSpec): string[] {
  return registry.filter(feature => feature.isNeededToRun?.(spec)).map(({ name }) => name);
}

/** What the node of a pod has to declare so that the pod may be changed like this. */
export function featuresToUpdate(next: PodSpec, old: PodSpec): string[] {
  return registry.filter(feature => feature.isNeededToUpdate?.(next, old)).map(({ name }) => name);
}

/** Those of the needed features that are not among the declared ones. */
export function missingFeatures(needed: readonly string[], declared: readonly string[] = []): string[] {
  return needed.filter(name => !declared.includes(name));
}
