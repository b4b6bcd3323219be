import { definitionAdmission } from './custom-resource-definition';
import { defaultTolerationSeconds, type DefaultTolerations } from './default-toleration-seconds';
import { namespaceLifecycle } from './namespace-lifecycle';
import { nodeRestriction } from './node-restriction';
import type { AdmissionPlugin } from './plugin';
import { priority } from './priority';
import { rbacEscalation, type EscalationDeps } from './rbac-escalation';
import { serviceAccount } from './service-account';
import { taintNodesByCondition } from './taint-nodes-by-condition';

export interface AdmissionConfig {
  defaultTolerations: DefaultTolerations;
}

/** What single plugins need beyond `AdmissionDeps`. */
export interface PluginDeps extends EscalationDeps {}

/** The admission plugins in their order of execution. */
export function admissionPlugins(config: AdmissionConfig, deps: PluginDeps): readonly AdmissionPlugin[] {
  return [
    namespaceLifecycle,
    definitionAdmission,
    serviceAccount,
    nodeRestriction,
    taintNodesByCondition,
    priority,
    defaultTolerationSeconds(config.defaultTolerations),
    rbacEscalation(deps),
  ];
}
