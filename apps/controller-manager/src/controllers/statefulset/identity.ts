import type { Pod, PodTemplateSpec, StatefulSet, Stored } from '@naru/api';
import { revisionHashLabel, type Revision } from '../../history/revision-history';

export const podNameLabel = 'statefulset.kubernetes.io/pod-name';
export const podIndexLabel = 'apps.kubernetes.io/pod-index';

/** What makes the pods of a set distinguishable: their ordinal, in name, host name, labels and claims. */
export function podName(set: Stored<StatefulSet>, ordinal: number): string {
  return `${set.metadata.name}-${ordinal}`;
}

/** The ordinal of a pod of the set; undefined when its name is not one of the set's. */
export function ordinalOf(set: Stored<StatefulSet>, pod: Stored<Pod>): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const { name } = pod.metadata;
  const rest = name.slice(prefix.length);
  return name.startsWith(prefix) && /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : undefined;
}

export function startOrdinal(set: StatefulSet): number {
  return set.spec?.ordinals?.start ?? 0;
}

/** The ordinals that the set wants, lowest first. */
export function wantedOrdinals(set: StatefulSet): number[] {
  const start = startOrdinal(set);
  return Array.from({ length: set.spec?.replicas ?? 1 }, (_, i) => start + i);
}

/** The name of the revision of which a pod is. */
export function revisionOfPod(pod: Pod): string {
  return pod.metadata?.labels?.[revisionHashLabel] ?? '';
}

/** The template that a revision remembers. */
export function templateOf(revision: Revision): PodTemplateSpec {
  const { template } = (revision.data as { spec: { template: PodTemplateSpec & { $patch?: string } } }).spec;
  const { $patch: _replace, ...rest } = template;
  return rest;
}

export function claimName(set: Stored<StatefulSet>, template: string, ordinal: number): string {
  return `${template}-${set.metadata.name}-${ordinal}`;
}

/** Makes the draft of a pod the one with that ordinal. */
export function giveIdentity(set: Stored<StatefulSet>, ordinal: number, revision: Revision): (draft: Pod) => void {
  return draft => {
    const name = podName(set, ordinal);
    const metadata = (draft.metadata ??= {});
    delete metadata.generateName;
    metadata.name = name;
    metadata.labels = {
      ...metadata.labels,
      [podNameLabel]: name,
      [podIndexLabel]: String(ordinal),
      [revisionHashLabel]: revision.metadata.name,
    };
    if (!draft.spec) return;
    draft.spec.hostname = name;
    if (set.spec?.serviceName) draft.spec.subdomain = set.spec.serviceName;
    const claims = (set.spec?.volumeClaimTemplates ?? []).map(template => template.metadata?.name ?? '');
    if (claims.length === 0) return;
    draft.spec.volumes = [
      ...(draft.spec.volumes ?? []).filter(volume => !claims.includes(volume.name)),
      ...claims.map(claim => ({ name: claim, persistentVolumeClaim: { claimName: claimName(set, claim, ordinal) } })),
    ];
  };
}
