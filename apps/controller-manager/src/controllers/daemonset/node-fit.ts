import { compileNodeDemand, findUntoleratedTaint, type Node, type Pod, type PodSpec, type Toleration } from '@naru/api';

export interface NodeFit {
  /** A daemon pod belongs on the node. */
  shouldRun: boolean;
  /** One that is there may stay. */
  shouldContinue: boolean;
}

/** Daemons stay where ordinary pods would be driven away. Source: daemon/util.AddOrUpdateDaemonPodTolerations. */
export function daemonTolerations(spec: PodSpec | undefined): Toleration[] {
  const exists = (name: string, effect: string): Toleration => ({
    key: `node.kubernetes.io/${name}`,
    operator: 'Exists',
    effect,
  });
  return [
    exists('not-ready', 'NoExecute'),
    exists('unreachable', 'NoExecute'),
    exists('disk-pressure', 'NoSchedule'),
    exists('memory-pressure', 'NoSchedule'),
    exists('pid-pressure', 'NoSchedule'),
    exists('unschedulable', 'NoSchedule'),
    ...(spec?.hostNetwork ? [exists('network-unavailable', 'NoSchedule')] : []),
  ];
}

/** The tolerations of a template with those of all daemons; of equal keys and effects the daemon's counts. */
export function withDaemonTolerations(spec: PodSpec | undefined): Toleration[] {
  const added = daemonTolerations(spec);
  const same = (a: Toleration, b: Toleration): boolean =>
    a.key === b.key && a.effect === b.effect && (a.operator ?? 'Equal') === b.operator && (a.value ?? '') === '';
  return [...(spec?.tolerations ?? []).filter(own => !added.some(other => same(own, other))), ...added];
}

/** Compiles where the pods of a template belong, so that asking for a node is cheap. */
export function compileNodeFit(spec: PodSpec | undefined): (node: Node) => NodeFit {
  const demand = compileNodeDemand(spec);
  const tolerations = withDaemonTolerations(spec);
  return node => {
    const wanted = (!spec?.nodeName || spec.nodeName === node.metadata?.name) && (demand?.(node) ?? true);
    if (!wanted) return { shouldRun: false, shouldContinue: false };
    const { taints } = node.spec ?? {};
    if (!findUntoleratedTaint(taints, tolerations, ['NoExecute', 'NoSchedule']))
      return { shouldRun: true, shouldContinue: true };
    return { shouldRun: false, shouldContinue: !findUntoleratedTaint(taints, tolerations, ['NoExecute']) };
  };
}

/** The spec of the daemon pod of a node: the scheduler may bind it to no other. */
export function daemonPodSpec(spec: PodSpec, nodeName: string): PodSpec {
  const term = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }] };
  const nodeAffinity = {
    ...spec.affinity?.nodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
  };
  return { ...spec, affinity: { ...spec.affinity, nodeAffinity }, tolerations: withDaemonTolerations(spec) };
}

/** The node that a daemon pod is on, or is for. */
export function targetNode({ spec }: Pod): string | undefined {
  if (spec?.nodeName) return spec.nodeName;
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const { matchFields = [] } of terms)
    for (const { key, operator, values = [] } of matchFields)
      if (key === 'metadata.name' && operator === 'In' && values.length === 1) return values[0];
  return undefined;
}
