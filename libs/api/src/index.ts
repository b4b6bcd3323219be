export type * from './types';
export type { Wire } from './wire';
export * from './resource';
export { parseNano, quantityMilliValue, quantityValue } from './quantity';
export { compileLabelMap, compileLabelSelector, type LabelMatcher, type Labels } from './label-selector';
export { findUntoleratedTaint, tolerates } from './taints';
export { compileNodeDemand, compileNodeSelectorTerm, type NodeMatcher } from './node-selector';
export { podRequests, podRequestsNonZero, resourceAmounts, type ResourceAmounts } from './pod-resources';
