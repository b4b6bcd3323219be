import { parseNano } from '../quantity';
import type { HorizontalPodAutoscaler } from '../types';
import { forbidden, invalid, notSupported, required, type FieldError } from './field-error';
import { validateOneOf, validateRequiredName } from './fields';
import { dnsLabelProblem, pathSegmentProblem } from './names';
import { validateNonNegative } from './workload';

type Spec = HorizontalPodAutoscaler['spec'];
type Metric = NonNullable<Spec['metrics']>[number];
type Target = NonNullable<Metric['resource']>['target'];
type Rules = NonNullable<NonNullable<Spec['behavior']>['scaleUp']>;

const sources = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
} as const;
const sourceTypes = Object.keys(sources);
const selectPolicies = ['Disabled', 'Max', 'Min'];
const policyTypes = ['Percent', 'Pods'];
const targetTypes = ['Utilization', 'Value', 'AverageValue'];
const maxStabilizationSeconds = 3600;
const maxPeriodSeconds = 1800;

/** Source: pkg/apis/autoscaling/validation. */
export function validateAutoscaler({ spec }: HorizontalPodAutoscaler, errors: FieldError[]): void {
  const { minReplicas, maxReplicas = 0 } = spec ?? {};
  if (minReplicas !== undefined && minReplicas < 1)
    errors.push(invalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
  if (maxReplicas < 1) errors.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than 0'));
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    errors.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'));
  validateObjectReference(spec?.scaleTargetRef, 'spec.scaleTargetRef', errors);
  for (const [index, metric] of (spec?.metrics ?? []).entries())
    validateMetric(metric, `spec.metrics[${index}]`, errors);
  validateScalingRules(spec?.behavior?.scaleUp, 'spec.behavior.scaleUp', errors);
  validateScalingRules(spec?.behavior?.scaleDown, 'spec.behavior.scaleDown', errors);
}

export function validateAutoscalerStatus({ status }: HorizontalPodAutoscaler, errors: FieldError[]): void {
  validateNonNegative(status?.currentReplicas, 'status.currentReplicas', errors);
  validateNonNegative(status?.desiredReplicas, 'status.desiredReplicas', errors);
}

function validateObjectReference(
  ref: { kind?: string | undefined; name?: string | undefined } | undefined,
  path: string,
  errors: FieldError[],
): void {
  validateRequiredName(ref?.kind, pathSegmentProblem, `${path}.kind`, errors);
  validateRequiredName(ref?.name, pathSegmentProblem, `${path}.name`, errors);
}

function validateMetric(metric: Metric, path: string, errors: FieldError[]): void {
  validateOneOf(metric.type, sourceTypes, `${path}.type`, errors, 'must specify a metric source type');
  const expected = sources[metric.type as keyof typeof sources] as (typeof sources)[keyof typeof sources] | undefined;
  if (expected && !metric[expected])
    errors.push(required(`${path}.${expected}`, 'must populate information for the given metric source'));
  const present = Object.values(sources).filter(source => metric[source]);
  for (const source of present) {
    if (source === (expected ?? present[0])) validateSource(metric, source, `${path}.${source}`, errors);
    else errors.push(forbidden(`${path}.${source}`, 'must populate the given metric source only'));
  }
}

function validateSource(
  metric: Metric,
  source: (typeof sources)[keyof typeof sources],
  path: string,
  errors: FieldError[],
): void {
  const { object, external, pods, resource, containerResource } = metric;
  if (object) validateObjectReference(object.describedObject, `${path}.describedObject`, errors);
  const named = object ?? external ?? pods;
  if (named)
    validateRequiredName(
      named.metric?.name,
      pathSegmentProblem,
      `${path}.metric.name`,
      errors,
      'must specify a metric name',
    );
  const ofResource = resource ?? containerResource;
  if (ofResource && !ofResource.name) errors.push(required(`${path}.name`, 'must specify a resource name'));
  if (containerResource)
    validateRequiredName(
      containerResource.container,
      dnsLabelProblem,
      `${path}.container`,
      errors,
      'must specify a container',
    );
  const target = metric[source]?.target;
  validateTarget(target, `${path}.target`, errors);
  validateAmounts(source, target, `${path}.target`, errors);
}

/** Which amounts a source can aim at. */
function validateAmounts(source: string, target: Target | undefined, path: string, errors: FieldError[]): void {
  const { value, averageValue, averageUtilization } = target ?? {};
  if (source === 'resource' || source === 'containerResource') {
    const detail = 'both a target raw value and a target utilization';
    if (averageUtilization === undefined && averageValue === undefined)
      errors.push(required(`${path}.averageUtilization`, 'must set either a target raw value or a target utilization'));
    else if (averageUtilization !== undefined && averageValue !== undefined)
      errors.push(forbidden(`${path}.averageValue`, `may not set ${detail}`));
  } else if (source === 'pods') {
    if (averageValue === undefined)
      errors.push(required(`${path}.averageValue`, 'must specify a positive target averageValue'));
  } else if (value === undefined && averageValue === undefined) {
    const what = source === 'object' ? 'value or averageValue' : 'value for metric or a per-pod target';
    errors.push(required(`${path}.averageValue`, `must set either a target ${what}`));
  } else if (source === 'external' && value !== undefined && averageValue !== undefined) {
    errors.push(forbidden(`${path}.value`, 'may not set both a target value for metric and a per-pod target'));
  }
}

function validateTarget(target: Target | undefined, path: string, errors: FieldError[]): void {
  const { type, value, averageValue, averageUtilization } = target ?? {};
  if (!type) errors.push(required(`${path}.type`, 'must specify a metric target type'));
  if (!targetTypes.includes(type ?? ''))
    errors.push(invalid(`${path}.type`, type ?? '', 'must be either Utilization, Value, or AverageValue'));
  for (const [field, amount] of Object.entries({ value, averageValue }))
    if (amount !== undefined && parseNano(amount) <= 0n)
      errors.push(invalid(`${path}.${field}`, amount, 'must be positive'));
  if (averageUtilization !== undefined && averageUtilization < 1)
    errors.push(invalid(`${path}.averageUtilization`, averageUtilization, 'must be greater than 0'));
}

function validateScalingRules(rules: Rules | undefined, path: string, errors: FieldError[]): void {
  if (!rules) return;
  const { stabilizationWindowSeconds: window, selectPolicy, policies = [], tolerance } = rules;
  const at = `${path}.stabilizationWindowSeconds`;
  if (window !== undefined && window < 0) errors.push(invalid(at, window, 'must be greater than or equal to zero'));
  if (window !== undefined && window > maxStabilizationSeconds)
    errors.push(invalid(at, window, `must be less than or equal to ${maxStabilizationSeconds}`));
  if (selectPolicy !== undefined && !selectPolicies.includes(selectPolicy))
    errors.push(notSupported(`${path}.selectPolicy`, selectPolicy, selectPolicies));
  if (policies.length === 0) errors.push(required(`${path}.policies`, 'must specify at least one Policy'));
  for (const [index, { type, value, periodSeconds }] of policies.entries()) {
    const policy = `${path}.policies[${index}]`;
    if (!policyTypes.includes(type)) errors.push(notSupported(`${policy}.type`, type ?? '', policyTypes));
    if (!(value > 0)) errors.push(invalid(`${policy}.value`, value ?? 0, 'must be greater than zero'));
    if (!(periodSeconds > 0))
      errors.push(invalid(`${policy}.periodSeconds`, periodSeconds ?? 0, 'must be greater than zero'));
    else if (periodSeconds > maxPeriodSeconds)
      errors.push(
        invalid(`${policy}.periodSeconds`, periodSeconds, `must be less than or equal to ${maxPeriodSeconds}`),
      );
  }
  if (tolerance !== undefined && parseNano(tolerance) < 0n)
    errors.push(invalid(`${path}.tolerance`, tolerance, 'must be greater than or equal to zero'));
}
