import type { Namespace } from '@naru/api';
import { formatTime } from '@naru/foundation';
import type { Content } from './content';

/** What is left of a resource in a namespace that is being emptied. */
export interface Remaining {
  type: Content['type'];
  count: number;
  /** Of all objects that are left, one entry for each object that has it. */
  finalizers: string[];
  /** Why it could not be deleted. */
  error?: Error;
}

type Condition = NonNullable<NonNullable<Namespace['status']>['conditions']>[number];
/** Reason and message. */
type Said = readonly [reason: string, message: string];

/** What is said of a part that went well; a condition is True where it did not. Source: pkg/controller/namespace/deletion. */
const fine: Record<string, Said> = {
  NamespaceDeletionDiscoveryFailure: ['ResourcesDiscovered', 'All resources successfully discovered'],
  NamespaceDeletionGroupVersionParsingFailure: ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
  NamespaceDeletionContentFailure: [
    'ContentDeleted',
    'All content successfully deleted, may be waiting on finalization',
  ],
  NamespaceContentRemaining: ['ContentRemoved', 'All content successfully removed'],
  NamespaceFinalizersRemaining: ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
};

/**
 * Upstream's five conditions of a namespace that is not empty yet, or of which nobody knows: `failures` says which groups could not
 * be asked. A condition keeps its time while its status stays.
 */
export function deletionConditions(
  results: readonly Remaining[],
  failures: readonly string[],
  known: readonly Condition[],
  nowMs: number,
): Condition[] {
  const wrong = problems(results, failures);
  return Object.entries(fine).map(([type, well]) => {
    const before = known.find(condition => condition.type === type);
    const status = wrong[type] ? 'True' : 'False';
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : formatTime(nowMs);
    const [reason, message] = wrong[type] ?? well;
    return { type, status, ...(lastTransitionTime ? { lastTransitionTime } : {}), reason, message };
  });
}

function problems(results: readonly Remaining[], failures: readonly string[]): Partial<Record<string, Said>> {
  const errors = results.flatMap(({ error }) => error?.message ?? []).sort();
  const contents = results
    .filter(({ count }) => count > 0)
    .map(({ type, count }) => `${type.resource}.${type.group} has ${count} resource instances`)
    .sort();
  const holders = new Map<string, number>();
  for (const entry of results.flatMap(({ finalizers }) => finalizers))
    holders.set(entry, (holders.get(entry) ?? 0) + 1);
  const finalizers = [...holders].map(([entry, count]) => `${entry} in ${count} resource instances`).sort();
  const said: Partial<Record<string, Said>> = {};
  if (failures.length > 0)
    said['NamespaceDeletionDiscoveryFailure'] = [
      'DiscoveryFailed',
      `Discovery failed for some groups, ${failures.length} failing: unable to retrieve the complete list of server APIs: ${[...failures].sort().join(', ')}`,
    ];
  if (errors.length > 0)
    said['NamespaceDeletionContentFailure'] = [
      'ContentDeletionFailed',
      `Failed to delete all resource types, ${errors.length} remaining: ${errors.join(', ')}`,
    ];
  if (contents.length > 0)
    said['NamespaceContentRemaining'] = ['SomeResourcesRemain', `Some resources are remaining: ${contents.join(', ')}`];
  if (finalizers.length > 0)
    said['NamespaceFinalizersRemaining'] = [
      'SomeFinalizersRemain',
      `Some content in the namespace has finalizers remaining: ${finalizers.join(', ')}`,
    ];
  return said;
}
