import type { AnyDefinition } from './definition';

/** Every built-in kind. */
export const definitions: readonly AnyDefinition[] = [];
