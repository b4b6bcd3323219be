import type { Clock, Logger } from '@naru/foundation';
import type { AnyDefinition, Scheme } from '@naru/api';
import type { Admission } from '../admission/plugin';
import type { Storage } from '../storage/storage';
import type { KeyLocks } from './key-locks';
import type { KindHooks } from './kind-hooks';

/** What the verbs need. */
export interface ObjectDeps {
  storage: Storage;
  scheme: Scheme;
  admission: Admission;
  hooks: ReadonlyMap<string, KindHooks>;
  locks: KeyLocks;
  clock: Clock;
  logger: Logger;
}

export function hooksOf(deps: ObjectDeps, { type }: AnyDefinition): KindHooks | undefined {
  return deps.hooks.get(`${type.group}/${type.resource}`);
}
