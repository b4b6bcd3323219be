import type { PluginFactory } from '../framework/types';
import { balancedAllocation } from './balanced-allocation';
import { defaultBinder } from './default-binder';
import { defaultPreemption } from './default-preemption';
import { dynamicResources } from './dynamic-resources';
import { imageLocality } from './image-locality';
import { interPodAffinity } from './inter-pod-affinity';
import { nodeAffinity } from './node-affinity';
import { nodeDeclaredFeatures } from './node-declared-features';
import { nodeName } from './node-name';
import { nodePorts } from './node-ports';
import { nodeResourcesFit } from './node-resources-fit';
import { nodeVolumeLimits } from './node-volume-limits';
import { nodeUnschedulable } from './node-unschedulable';
import { podTopologySpread } from './pod-topology-spread';
import { schedulingGates } from './scheduling-gates';
import { taintToleration } from './taint-toleration';
import { volumeBinding } from './volume-binding';
import { volumeRestrictions } from './volume-restrictions';
import { volumeZone } from './volume-zone';

/** The default profile. The order is that of each extension point: cheap filters that refuse often come first. */
export const plugins: readonly PluginFactory[] = [
  schedulingGates,
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  nodePorts,
  nodeResourcesFit,
  volumeRestrictions,
  nodeVolumeLimits,
  volumeBinding,
  volumeZone,
  podTopologySpread,
  interPodAffinity,
  dynamicResources,
  nodeDeclaredFeatures,
  balancedAllocation,
  imageLocality,
  defaultPreemption,
  defaultBinder,
];
