import type { HorizontalPodAutoscaler } from '@naru/api';

type Rules = NonNullable<NonNullable<HorizontalPodAutoscaler['spec']['behavior']>['scaleUp']>;

/** What has been recommended and done, by time. Held in memory: after a restart the windows begin anew. */
export interface History {
  recommendations: { at: number; replicas: number }[];
  up: { at: number; change: number }[];
  down: { at: number; change: number }[];
}

export interface Limited {
  replicas: number;
  ableToScale: { reason: string; message: string };
  limited: { status: 'True' | 'False'; reason: string; message: string };
}

const longestWindowMs = 3_600_000;
const maxKept = 1_000;

const defaultRules: Record<'up' | 'down', Rules> = {
  up: {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
  },
  down: {
    stabilizationWindowSeconds: 300,
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
  },
};

export function rulesOf({ spec }: HorizontalPodAutoscaler, direction: 'up' | 'down'): Rules {
  const own = direction === 'up' ? spec.behavior?.scaleUp : spec.behavior?.scaleDown;
  return { ...defaultRules[direction], ...own };
}

/** Notes the recommendation, and holds it against the past and the rules. Source: convertDesiredReplicasWithBehaviorRate. */
export function applyBehavior(
  autoscaler: HorizontalPodAutoscaler,
  history: History,
  current: number,
  wanted: number,
  now: number,
): Limited {
  const stable = stabilize(autoscaler, history, current, wanted, now);
  const ableToScale =
    stable < wanted
      ? {
          reason: 'ScaleUpStabilized',
          message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
        }
      : stable > wanted
        ? {
            reason: 'ScaleDownStabilized',
            message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
          }
        : { reason: 'ReadyForNewScale', message: 'recommended size matches current size' };
  return { ableToScale, ...limit(autoscaler, history, current, stable, now) };
}

function stabilize(
  autoscaler: HorizontalPodAutoscaler,
  history: History,
  current: number,
  wanted: number,
  now: number,
): number {
  const since = (direction: 'up' | 'down'): number =>
    now - (rulesOf(autoscaler, direction).stabilizationWindowSeconds ?? 0) * 1000;
  history.recommendations = history.recommendations.filter(({ at }) => at > now - longestWindowMs).slice(-maxKept);
  const within = (from: number): number[] =>
    history.recommendations.filter(({ at }) => at > from).map(({ replicas }) => replicas);
  const lowest = Math.min(wanted, ...within(since('up')));
  const highest = Math.max(wanted, ...within(since('down')));
  history.recommendations.push({ at: now, replicas: wanted });
  if (current < lowest) return lowest;
  return current > highest ? highest : current;
}

function limit(
  autoscaler: HorizontalPodAutoscaler,
  history: History,
  current: number,
  wanted: number,
  now: number,
): Pick<Limited, 'replicas' | 'limited'> {
  const { minReplicas = 1, maxReplicas } = autoscaler.spec;
  const limited = (replicas: number, reason: string, message: string): Pick<Limited, 'replicas' | 'limited'> => ({
    replicas,
    limited: { status: 'True', reason, message },
  });
  if (wanted > current) {
    const rate = Math.max(current, limitByPolicies(rulesOf(autoscaler, 'up'), history, current, 'up', now));
    if (wanted > Math.min(maxReplicas, rate))
      return maxReplicas > rate
        ? limited(rate, 'ScaleUpLimit', 'the desired replica count is increasing faster than the maximum scale rate')
        : limited(maxReplicas, 'TooManyReplicas', 'the desired replica count is more than the maximum replica count');
  } else if (wanted < current) {
    const rate = Math.min(current, limitByPolicies(rulesOf(autoscaler, 'down'), history, current, 'down', now));
    if (wanted < Math.max(minReplicas, rate))
      return minReplicas < rate
        ? limited(rate, 'ScaleDownLimit', 'the desired replica count is decreasing faster than the maximum scale rate')
        : limited(minReplicas, 'TooFewReplicas', 'the desired replica count is less than the minimum replica count');
  } else if (wanted > maxReplicas)
    return limited(maxReplicas, 'TooManyReplicas', 'the desired replica count is more than the maximum replica count');
  else if (wanted < minReplicas)
    return limited(minReplicas, 'TooFewReplicas', 'the desired replica count is less than the minimum replica count');
  return {
    replicas: wanted,
    limited: {
      status: 'False',
      reason: 'DesiredWithinRange',
      message: 'the desired count is within the acceptable range',
    },
  };
}

/** How far the rules let the number go, from what it was at the beginning of each policy's period. */
function limitByPolicies(
  rules: Rules,
  history: History,
  current: number,
  direction: 'up' | 'down',
  now: number,
): number {
  if (rules.selectPolicy === 'Disabled') return current;
  const sum = (events: History['up'], from: number): number =>
    events.filter(({ at }) => at > from).reduce((total, { change }) => total + change, 0);
  const results = (rules.policies ?? []).map(({ type, value, periodSeconds }) => {
    const from = now - periodSeconds * 1000;
    const start = current - sum(history.up, from) + sum(history.down, from);
    if (type === 'Pods') return direction === 'up' ? start + value : start - value;
    return direction === 'up' ? Math.ceil(start * (1 + value / 100)) : Math.floor(start * (1 - value / 100));
  });
  // Max is the policy that changes most.
  const furthest = (rules.selectPolicy ?? 'Max') === 'Max';
  const pickHigh = (direction === 'up') === furthest;
  return pickHigh ? Math.max(...results) : Math.min(...results);
}

export function noteScaling(history: History, from: number, to: number, now: number): void {
  const events = to > from ? history.up : history.down;
  events.push({ at: now, change: Math.abs(to - from) });
  for (const list of [history.up, history.down]) {
    const first = list.findIndex(({ at }) => at > now - longestWindowMs);
    list.splice(0, Math.max(first < 0 ? list.length : first, list.length - maxKept));
  }
}
