import { nodes } from '../resource';
import { ageColumn, isConditionTrue, nameColumn, text, wide } from '../table/columns';
import type { Node, Taint } from '../types';
import { duplicate, forbidden, invalid, required, tooLong, type FieldError } from '../validation/field-error';
import { labelValueProblem, qualifiedNameProblem } from '../validation/names';
import { taintEffectError } from '../validation/taints';
import { defineKind } from './define-kind';

const rolePrefix = 'node-role.kubernetes.io/';

function statusOf(o: Node): string {
  const ready = o.status?.conditions?.find(c => c.type === 'Ready');
  const status = !ready ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return o.spec?.unschedulable ? `${status},SchedulingDisabled` : status;
}

function rolesOf(o: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(o.metadata?.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(value);
  }
  return roles.size === 0 ? '<none>' : [...roles].sort().join(',');
}

function addressOf(o: Node, type: string): string {
  return o.status?.addresses?.find(a => a.type === type)?.address ?? '<none>';
}

const info = (key: 'osImage' | 'kernelVersion' | 'containerRuntimeVersion') => (o: Node) =>
  o.status?.nodeInfo?.[key] || '<unknown>';

function validateTaints(taints: readonly Taint[] | undefined, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, taint] of (taints ?? []).entries()) {
    const at = `spec.taints[${index}]`;
    if (!taint.key) errors.push(required(`${at}.key`));
    const keyProblem = taint.key ? qualifiedNameProblem(taint.key) : undefined;
    if (keyProblem) errors.push(invalid(`${at}.key`, taint.key, keyProblem));
    const valueProblem = labelValueProblem(taint.value ?? '');
    if (valueProblem) errors.push(invalid(`${at}.value`, taint.value, valueProblem));
    const effectProblem = taintEffectError(taint.effect, `${at}.effect`);
    if (effectProblem) errors.push(effectProblem);
    const identity = `${taint.key}:${taint.effect}`;
    if (seen.has(identity)) errors.push(duplicate(at, taint));
    seen.add(identity);
  }
}

const featureName = /^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$/;
const maxFeatureName = 253;

function validateDeclaredFeatures(features: readonly string[], errors: FieldError[]): void {
  for (const [index, name] of features.entries()) {
    const at = `status.declaredFeatures[${index}]`;
    const before = features[index - 1];
    if (name.length > maxFeatureName) errors.push(tooLong(at, maxFeatureName));
    else if (!featureName.test(name))
      errors.push(invalid(at, name, "must consist of names in camel case, the first one upper, separated by '/'"));
    if (before === name) errors.push(duplicate(at, name));
    else if (before !== undefined && before > name) errors.push(invalid(at, name, 'must be sorted'));
  }
}

function validate(o: Node, errors: FieldError[]): void {
  validateTaints(o.spec?.taints, errors);
  const cidrs = o.spec?.podCIDRs ?? [];
  if (cidrs.length > 2)
    errors.push(invalid('spec.podCIDRs', cidrs, 'may specify no more than one CIDR for each IP family'));
  if (o.spec?.podCIDR && cidrs.length > 0 && cidrs[0] !== o.spec.podCIDR)
    errors.push(invalid('spec.podCIDRs[0]', cidrs[0], `must equal \`podCIDR\` (${o.spec.podCIDR})`));
  validateStatus(o, errors);
}

function validateStatus(o: Node, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, { type, address }] of (o.status?.addresses ?? []).entries()) {
    const identity = `${type}/${address}`;
    if (seen.has(identity)) errors.push(duplicate(`status.addresses[${index}]`, { type, address }));
    seen.add(identity);
  }
  validateDeclaredFeatures(o.status?.declaredFeatures ?? [], errors);
}

function validateUpdate(next: Node, old: Node, errors: FieldError[]): void {
  if (old.spec?.providerID && next.spec?.providerID !== old.spec.providerID)
    errors.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  const before = old.spec?.podCIDRs ?? [];
  if (before.length > 0 && before.join() !== (next.spec?.podCIDRs ?? []).join())
    errors.push(forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
}

export const nodeKind = defineKind(nodes, {
  shortNames: ['no'],
  subresources: { status: true, special: ['proxy'] },
  keepsStatusOnCreate: true,
  applyDefaults: o => {
    if (o.status && !o.status.allocatable && o.status.capacity) o.status.allocatable = { ...o.status.capacity };
    // As upstream's canonical form: both fields or none.
    if (o.spec?.podCIDR && !o.spec.podCIDRs?.length) o.spec.podCIDRs = [o.spec.podCIDR];
    else if (o.spec?.podCIDRs?.[0] && !o.spec.podCIDR) o.spec.podCIDR = o.spec.podCIDRs[0];
  },
  validate,
  validateUpdate,
  validateStatusUpdate: (next, _old, errors) => validateStatus(next, errors),
  selectable: { 'spec.unschedulable': o => o.spec?.unschedulable ?? false },
  columns: [
    nameColumn,
    text('Status', 'The status of the node', statusOf),
    text('Roles', 'The roles of the node', rolesOf),
    ageColumn,
    text('Version', 'Kubelet Version reported by the node.', o => o.status?.nodeInfo?.kubeletVersion ?? ''),
    wide('Internal-IP', 'Address inside the cluster.', o => addressOf(o, 'InternalIP')),
    wide('External-IP', 'Address outside of the cluster.', o => addressOf(o, 'ExternalIP')),
    wide('OS-Image', 'OS Image reported by the node.', info('osImage')),
    wide('Kernel-Version', 'Kernel Version reported by the node.', info('kernelVersion')),
    wide('Container-Runtime', 'ContainerRuntime Version reported by the node.', info('containerRuntimeVersion')),
  ],
});

/** Whether the node's Ready condition is True. */
export function isNodeReady(o: Node): boolean {
  return isConditionTrue(o.status?.conditions, 'Ready');
}
