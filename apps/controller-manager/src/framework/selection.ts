import { UsageError } from '@naru/foundation';
import type { Controller } from './controller';

/**
 * Upstream's --controllers: "*" is all, "foo" enables and "-foo" disables the controller named so; the suffix "-controller"
 * may be left out. Throws UsageError for a name that does not exist.
 */
export function selectControllers(all: readonly Controller[], wanted: readonly string[]): Controller[] {
  const canonical = (name: string): string => name.replace(/-controller$/, '');
  const known = new Set(all.map(controller => canonical(controller.name)));
  for (const entry of wanted) {
    const name = canonical(entry.replace(/^-/, ''));
    if (entry !== '*' && !known.has(name))
      throw new UsageError(`flag --controllers: "${name}" is not in the list of known controllers`);
  }
  const names = new Set(
    wanted.map(entry => (entry.startsWith('-') ? `-${canonical(entry.slice(1))}` : canonical(entry))),
  );
  return all.filter(({ name }) => {
    if (names.has(`-${canonical(name)}`)) return false;
    return names.has('*') || names.has(canonical(name));
  });
}
