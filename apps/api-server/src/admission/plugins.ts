import {
  certificateApproval,
  certificateRequester,
  certificateSigning,
  certificateSubjectRestriction,
} from './certificates';
import { definitionAdmission } from './custom-resource-definition';
import { defaultIngressClass, defaultStorageClass } from './default-classes';
import { defaultTolerationSeconds, type DefaultTolerations } from './default-toleration-seconds';
import { deviceExpressions } from './device-expressions';
import { limitRanger } from './limit-ranger';
import { namespaceLifecycle } from './namespace-lifecycle';
import { nodeDeclaredFeatures } from './node-declared-features';
import { nodeRestriction } from './node-restriction';
import type { AdmissionPlugin } from './plugin';
import { expressionSyntax } from './policies/expression-syntax';
import { mutatingPolicies } from './policies/mutating-policies';
import { validatingPolicies } from './policies/validating-policies';
import { podResize } from './pod-resize';
import { podSecurity } from './pod-security/pod-security';
import { podTopologyLabels } from './pod-topology-labels';
import { priority } from './priority';
import { rbacEscalation, type EscalationDeps } from './rbac-escalation';
import { runtimeClass } from './runtime-class';
import { serviceAccount } from './service-account';
import type { WatchCache } from '../storage/watch-cache';
import { resourceQuota } from './resource-quota';
import { claimResize, storageObjectInUseProtection } from './storage-objects';
import { taintNodesByCondition } from './taint-nodes-by-condition';
import type { WebhookDeps } from './webhooks/dispatcher';
import { mutatingWebhooks } from './webhooks/mutating-webhooks';
import { validatingWebhooks } from './webhooks/validating-webhooks';

export interface AdmissionConfig {
  defaultTolerations: DefaultTolerations;
}

/** What single plugins need beyond `AdmissionDeps`. */
export interface PluginDeps extends EscalationDeps, WebhookDeps {
  caches: {
    mutatingWebhooks: WatchCache;
    validatingWebhooks: WatchCache;
    mutatingPolicies: WatchCache;
    mutatingPolicyBindings: WatchCache;
    validatingPolicies: WatchCache;
    validatingPolicyBindings: WatchCache;
  };
}

/** The admission plugins in their order of execution. */
export function admissionPlugins(config: AdmissionConfig, deps: PluginDeps): readonly AdmissionPlugin[] {
  return [
    namespaceLifecycle,
    definitionAdmission,
    limitRanger,
    serviceAccount,
    nodeRestriction(deps),
    taintNodesByCondition,
    podSecurity,
    priority,
    defaultTolerationSeconds(config.defaultTolerations),
    defaultStorageClass,
    storageObjectInUseProtection,
    claimResize,
    runtimeClass,
    certificateRequester,
    certificateApproval(deps),
    certificateSigning(deps),
    certificateSubjectRestriction,
    defaultIngressClass,
    podTopologyLabels,
    nodeDeclaredFeatures,
    podResize,
    rbacEscalation(deps),
    expressionSyntax,
    deviceExpressions,
    // What the cluster's users configured comes last, and sees what the others made.
    mutatingPolicies({ policies: deps.caches.mutatingPolicies, bindings: deps.caches.mutatingPolicyBindings }, deps),
    mutatingWebhooks(deps.caches.mutatingWebhooks, deps),
    validatingPolicies(
      { policies: deps.caches.validatingPolicies, bindings: deps.caches.validatingPolicyBindings },
      deps,
    ),
    validatingWebhooks(deps.caches.validatingWebhooks, deps),
    // Last: only what nobody else refuses is charged.
    resourceQuota(),
  ];
}
