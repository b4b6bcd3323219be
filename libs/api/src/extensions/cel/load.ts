import type { RuleValidator } from './rule-validator';

let loaded: typeof RuleValidator | undefined;

/** Loads the rule engine: only clusters whose CRDs have rules pay for it. */
export async function loadRules(): Promise<void> {
  loaded ??= (await import('./rule-validator')).RuleValidator;
}

/** @throws Error before `loadRules` has been awaited */
export function ruleValidator(...args: ConstructorParameters<typeof RuleValidator>): RuleValidator {
  if (!loaded) throw new Error('The rule engine is not loaded: await loadRules first');
  return new loaded(...args);
}

export function rulesLoaded(): boolean {
  return loaded !== undefined;
}
