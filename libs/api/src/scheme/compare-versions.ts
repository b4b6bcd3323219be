const kubeVersion = /^v(\d+)(?:(alpha|beta)(\d+))?$/;
const stability: Record<string, number> = { alpha: 1, beta: 2 };

/** Orders API versions as Kubernetes prefers them: v2, v1, v1beta2, v1alpha1, then others by name. */
export function compareVersions(a: string, b: string): number {
  const left = kubeVersion.exec(a);
  const right = kubeVersion.exec(b);
  if (!left || !right) return left ? -1 : right ? 1 : a < b ? -1 : a > b ? 1 : 0;
  const rank = (match: RegExpExecArray): number[] => [
    stability[match[2] ?? ''] ?? 3,
    Number(match[1]),
    Number(match[3] ?? 0),
  ];
  const [first, second] = [rank(left), rank(right)];
  for (let i = 0; i < first.length; i++) if (first[i] !== second[i]) return second[i]! - first[i]!;
  return 0;
}
