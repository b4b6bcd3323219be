import type { Container, Pod } from '@naru/api';

/** Labels and annotations by which containers are found again. Source: kubelet/pkg/types/labels.go, kuberuntime/labels.go. */
export const labelNames = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
} as const;

export const annotationNames = {
  hash: 'io.kubernetes.container.hash',
  restartCount: 'io.kubernetes.container.restartCount',
  messagePath: 'io.kubernetes.container.terminationMessagePath',
  messagePolicy: 'io.kubernetes.container.terminationMessagePolicy',
  ports: 'io.kubernetes.container.ports',
  preStop: 'io.kubernetes.container.preStopHandler',
  deletionGracePeriod: 'io.kubernetes.pod.deletionGracePeriod',
  terminationGracePeriod: 'io.kubernetes.pod.terminationGracePeriod',
  round: 'naru.io/restart-round',
} as const;

export function podLabels(pod: Pod): Record<string, string> {
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  return {
    ...pod.metadata?.labels,
    [labelNames.podName]: name,
    [labelNames.podNamespace]: namespace,
    [labelNames.podUid]: uid,
  };
}

export function containerLabels(pod: Pod, container: Container): Record<string, string> {
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  return {
    [labelNames.podName]: name,
    [labelNames.podNamespace]: namespace,
    [labelNames.podUid]: uid,
    [labelNames.containerName]: container.name,
  };
}

/** What has to be known of a container when neither its pod nor an older kubelet is there to ask. */
export function containerAnnotations(
  pod: Pod,
  container: Container,
  { restartCount, hash, round }: { restartCount: number; hash: string; round: number },
): Record<string, string> {
  const annotations: Record<string, string> = {
    [annotationNames.hash]: hash,
    [annotationNames.restartCount]: String(restartCount),
    [annotationNames.messagePath]: container.terminationMessagePath ?? '/dev/termination-log',
    [annotationNames.messagePolicy]: container.terminationMessagePolicy ?? 'File',
  };
  if (round > 0) annotations[annotationNames.round] = String(round);
  const { metadata, spec } = pod;
  if (metadata?.deletionGracePeriodSeconds !== undefined)
    annotations[annotationNames.deletionGracePeriod] = String(metadata.deletionGracePeriodSeconds);
  if (spec?.terminationGracePeriodSeconds !== undefined)
    annotations[annotationNames.terminationGracePeriod] = String(spec.terminationGracePeriodSeconds);
  if (container.lifecycle?.preStop) annotations[annotationNames.preStop] = JSON.stringify(container.lifecycle.preStop);
  if (container.ports?.length) annotations[annotationNames.ports] = JSON.stringify(container.ports);
  return annotations;
}
