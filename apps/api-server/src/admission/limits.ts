import {
  parseQuantities,
  podQuantities,
  type LimitRange,
  type PersistentVolumeClaim,
  type Pod,
  type Quantities,
  type Quantity,
} from '@naru/api';

type LimitItem = NonNullable<LimitRange['spec']>['limits'][number];

interface Place {
  requests: Quantities;
  limits: Quantities;
}

/** What of a pod is outside the limits, in upstream's words. Source: plugin/pkg/admission/limitranger. */
export function podProblems(pod: Pod, limits: readonly LimitItem[]): string[] {
  const problems: string[] = [];
  for (const limit of limits) {
    if (limit.type === 'Pod')
      check(limit, { requests: podQuantities(pod, 'requests'), limits: podQuantities(pod, 'limits') }, problems);
    if (limit.type !== 'Container') continue;
    for (const { resources } of [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])])
      check(
        limit,
        { requests: parseQuantities(resources?.requests), limits: parseQuantities(resources?.limits) },
        problems,
      );
  }
  return problems;
}

export function claimProblems({ spec }: PersistentVolumeClaim, limits: readonly LimitItem[]): string[] {
  const problems: string[] = [];
  const requests = parseQuantities(spec?.resources?.requests);
  for (const limit of limits) {
    if (limit.type !== 'PersistentVolumeClaim') continue;
    const { min, max } = limit;
    check({ type: limit.type, ...(min ? { min } : {}) }, { requests, limits: new Map() }, problems);
    for (const [name, most] of parseQuantities(max)) {
      const request = requests.get(name);
      const rule = `maximum ${name} usage per ${limit.type} is ${most.toString()}`;
      if (!request) problems.push(`${rule}.  No request is specified`);
      else if (request.compare(most) > 0) problems.push(`${rule}, but request is ${request.toString()}`);
    }
  }
  return problems;
}

function check({ type, min, max, maxLimitRequestRatio }: LimitItem, place: Place, problems: string[]): void {
  const note = (problem: string | undefined): void => {
    if (problem !== undefined) problems.push(problem);
  };
  for (const [name, least] of parseQuantities(min)) note(minimum(`${name} usage per ${type}`, name, least, place));
  for (const [name, most] of parseQuantities(max)) note(maximum(`${name} usage per ${type}`, name, most, place));
  for (const [name, ratio] of parseQuantities(maxLimitRequestRatio)) note(ratioProblem(type, name, ratio, place));
}

function minimum(what: string, name: string, least: Quantity, { requests, limits }: Place): string | undefined {
  const request = requests.get(name);
  const limit = limits.get(name);
  const rule = `minimum ${what} is ${least.toString()}`;
  if (!request) return `${rule}.  No request is specified`;
  if (request.compare(least) < 0) return `${rule}, but request is ${request.toString()}`;
  return limit && limit.compare(least) < 0 ? `${rule}, but limit is ${limit.toString()}` : undefined;
}

function maximum(what: string, name: string, most: Quantity, { requests, limits }: Place): string | undefined {
  const request = requests.get(name);
  const limit = limits.get(name);
  const rule = `maximum ${what} is ${most.toString()}`;
  if (!limit) return `${rule}.  No limit is specified`;
  if (limit.compare(most) > 0) return `${rule}, but limit is ${limit.toString()}`;
  return request && request.compare(most) > 0 ? `${rule}, but request is ${request.toString()}` : undefined;
}

function ratioProblem(type: string, name: string, most: Quantity, { requests, limits }: Place): string | undefined {
  const request = requests.get(name);
  const limit = limits.get(name);
  const rule = `${name} max limit to request ratio per ${type} is ${most.toString()}`;
  if (!request || request.nano === 0n) return `${rule}, but no request is specified or request is 0`;
  if (!limit || limit.nano === 0n) return `${rule}, but no limit is specified or limit is 0`;
  const ratio = Number(limit.nano) / Number(request.nano);
  return ratio > Number(most.nano) / 1e9 ? `${rule}, but provided ratio is ${ratio.toFixed(6)}` : undefined;
}
