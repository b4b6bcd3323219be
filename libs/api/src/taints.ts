import type { Taint, Toleration } from './types';

/** v1.Toleration.ToleratesTaint. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if ((toleration.operator || 'Equal') === 'Exists') return true;
  return !!toleration.key && (toleration.value ?? '') === (taint.value ?? '');
}

/** The first taint with one of the effects that no toleration covers. */
export function findUntoleratedTaint(
  taints: readonly Taint[] | undefined,
  tolerations: readonly Toleration[] | undefined,
  effects: readonly string[],
): Taint | undefined {
  return taints?.find(
    taint => effects.includes(taint.effect) && !tolerations?.some(toleration => tolerates(toleration, taint)),
  );
}

/** Parses `key=value:Effect` or `key:Effect`, as --register-with-taints takes it. Throws for anything else. */
export function parseTaint(text: string): Taint {
  const match = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text);
  if (!match) throw new Error(`taint "${text}" is not of the form key=value:effect`);
  const [, key = '', value, effect = ''] = match;
  return { key, effect, ...(value ? { value } : {}) };
}
