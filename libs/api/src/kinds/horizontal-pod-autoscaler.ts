import { horizontalPodAutoscalers, horizontalPodAutoscalersV1 } from '../resource';
import type { TableColumn } from '../table/column';
import { integer, text } from '../table/columns';
import type { HorizontalPodAutoscaler } from '../types';
import { validateAutoscaler, validateAutoscalerStatus } from '../validation/horizontal-pod-autoscaler';
import { defineKind } from './define-kind';
import { autoscalerFromV1, autoscalerToV1 } from './horizontal-pod-autoscaler-v1';

type MetricSpec = NonNullable<HorizontalPodAutoscaler['spec']['metrics']>[number];

const maxShown = 2;

function referenceOf({ spec }: HorizontalPodAutoscaler): string {
  return `${spec?.scaleTargetRef?.kind ?? ''}/${spec?.scaleTargetRef?.name ?? ''}`;
}

interface Amounts {
  value?: string | undefined;
  averageValue?: string | undefined;
  averageUtilization?: number | undefined;
}

/** What a metric aims at: a value, or how much of its request a pod uses on average. */
function sideOf(amounts: Amounts | undefined, suffix: string): string | undefined {
  if (amounts?.averageValue !== undefined) return amounts.averageValue + suffix;
  if (amounts?.averageUtilization !== undefined) return `${amounts.averageUtilization}%`;
  return amounts?.value;
}

/** Of what is measured the amount that the target is about. */
function currentSide(current: Amounts | undefined, target: Amounts | undefined): string | undefined {
  if (target?.averageUtilization === undefined) return sideOf(current, '');
  return sideOf({ averageUtilization: current?.averageUtilization }, '');
}

function partsOf(metric: MetricSpec): { name: string; target: Amounts | undefined; averaged: boolean } {
  if (metric.resource) return { name: metric.resource.name, target: metric.resource.target, averaged: false };
  if (metric.containerResource)
    return { name: metric.containerResource.name, target: metric.containerResource.target, averaged: false };
  const other = metric.pods ?? metric.object ?? metric.external;
  return { name: '', target: other?.target, averaged: !metric.pods };
}

function targetsOf({ spec, status }: HorizontalPodAutoscaler): string {
  const metrics = spec?.metrics ?? [];
  if (metrics.length === 0) return '<none>';
  const all = metrics.map((metric, index) => {
    const { name, target, averaged } = partsOf(metric);
    const now = status?.currentMetrics?.[index];
    const { current } = now?.resource ?? now?.containerResource ?? now?.pods ?? now?.object ?? now?.external ?? {};
    const suffix = averaged ? ' (avg)' : '';
    const values = `${currentSide(current, target) ?? '<unknown>'}/${sideOf(target, suffix) ?? '<auto>'}`;
    return name ? `${name}: ${values}` : values;
  });
  const shown = all.slice(0, maxShown).join(', ');
  return all.length > maxShown ? `${shown} + ${all.length - maxShown} more...` : shown;
}

const columns: TableColumn<HorizontalPodAutoscaler>[] = [
  text('Reference', 'What is scaled.', referenceOf),
  text('Targets', 'Each metric as it is and as it should be.', targetsOf),
  text('MinPods', 'The lower limit of replicas.', o => String(o.spec?.minReplicas ?? '<unset>')),
  integer('MaxPods', 'The upper limit of replicas.', o => o.spec?.maxReplicas ?? 0),
  integer('Replicas', 'How many there are.', o => o.status?.currentReplicas ?? 0),
];

const shared = {
  shortNames: ['hpa'],
  categories: ['all'],
  subresources: { status: true },
  hasGeneration: true,
} as const;

type Rules = NonNullable<NonNullable<HorizontalPodAutoscaler['spec']['behavior']>['scaleUp']>;

const byPercent = { type: 'Percent', value: 100, periodSeconds: 15 };
const byPods = { type: 'Pods', value: 4, periodSeconds: 15 };

/** Source: pkg/apis/autoscaling/v2/defaults.go. */
function applyDefaults({ spec }: HorizontalPodAutoscaler): void {
  if (!spec) return;
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length)
    spec.metrics = [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
    ];
  if (!spec.behavior) return;
  const { scaleUp, scaleDown } = spec.behavior;
  const up: Rules = { stabilizationWindowSeconds: 0, selectPolicy: 'Max', policies: [byPods, byPercent] };
  spec.behavior.scaleUp = { ...up, ...scaleUp };
  spec.behavior.scaleDown = { selectPolicy: 'Max', policies: [byPercent], ...scaleDown };
}

export const horizontalPodAutoscalerKind = defineKind(horizontalPodAutoscalers, {
  ...shared,
  applyDefaults,
  validate: validateAutoscaler,
  validateStatusUpdate: (next, _old, errors) => validateAutoscalerStatus(next, errors),
  columns,
});

/** The same objects for clients of the first version, which knows the CPU only and keeps the rest in annotations. */
export const horizontalPodAutoscalerV1Kind = defineKind(horizontalPodAutoscalersV1, {
  ...shared,
  storedAs: {
    type: horizontalPodAutoscalers,
    toStored: o => {
      const stored = autoscalerFromV1(o);
      applyDefaults(stored);
      return stored;
    },
    fromStored: stored => autoscalerToV1(stored as HorizontalPodAutoscaler),
  },
  applyDefaults: ({ spec }) => {
    if (spec) spec.minReplicas ??= 1;
  },
  validate: (o, errors) => validateAutoscaler(autoscalerFromV1(o), errors),
  validateStatusUpdate: (next, _old, errors) => validateAutoscalerStatus(autoscalerFromV1(next), errors),
  columns: columns.map(c => ({ ...c, cell: (o, nowMs) => c.cell(autoscalerFromV1(o), nowMs) })),
});
