import { featuresToRun, missingFeatures, type Pod } from '@naru/api';
import { rejection, type Rejection } from '../pods/admission';

/**
 * What this kubelet can do and older ones cannot: `status.declaredFeatures` of its Node. UserNamespacesHostNetworkSupport
 * is not among them: alpha in upstream, and no runtime of today has it.
 */
export const declaredFeatures: readonly string[] = [
  'ExtendWebSocketsToKubelet',
  'InPlacePodLevelResourcesVerticalScaling',
  'InPlacePodVerticalScalingInitContainers',
  'RestartAllContainersOnContainerExits',
];

/** What a pod needs and this node does not have. Source: pkg/kubelet/lifecycle/handlers.go. */
export function admitFeatures({ spec }: Pod, declared: readonly string[] = declaredFeatures): Rejection | undefined {
  const missing = spec ? missingFeatures(featuresToRun(spec), declared) : [];
  if (missing.length === 0) return undefined;
  return rejection('PodFeatureUnsupported', `Pod requires node features that are not available: ${missing.join(', ')}`);
}
