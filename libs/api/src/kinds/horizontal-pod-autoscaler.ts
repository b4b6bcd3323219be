import { horizontalPodAutoscalers } from '../resource';
import { integer, text } from '../table/columns';
import type { HorizontalPodAutoscaler } from '../types';
import { defineKind, type KindSpec } from './define-kind';

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
    const values = `${sideOf(current, '') ?? '<unknown>'}/${sideOf(target, suffix) ?? '<auto>'}`;
    return name ? `${name}: ${values}` : values;
  });
  const shown = all.slice(0, maxShown).join(', ');
  return all.length > maxShown ? `${shown} + ${all.length - maxShown} more...` : shown;
}

const spec: KindSpec<HorizontalPodAutoscaler> = {
  shortNames: ['hpa'],
  categories: ['all'],
  subresources: { status: true },
  hasGeneration: true,
  columns: [
    text('Reference', 'What is scaled.', referenceOf),
    text('Targets', 'Each metric as it is and as it should be.', targetsOf),
    text('MinPods', 'The lower limit of replicas.', o => String(o.spec?.minReplicas ?? '<unset>')),
    integer('MaxPods', 'The upper limit of replicas.', o => o.spec?.maxReplicas ?? 0),
    integer('Replicas', 'How many there are.', o => o.status?.currentReplicas ?? 0),
  ],
};

export const horizontalPodAutoscalerKind = defineKind(horizontalPodAutoscalers, spec);
