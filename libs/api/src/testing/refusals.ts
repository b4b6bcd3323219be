import { decodeObject } from '../decode/decode-object';
import type { AnyDefinition, ResourceDefinition } from '../scheme/definition';
import type { KubeObject } from '../types';
import { describeFieldError } from '../validation/field-error';

/** What an api-server does with a create, up to the store. */
export function create<T extends KubeObject>(definition: ResourceDefinition<T>, body: object): T {
  const { object } = decodeObject(JSON.stringify(body), definition as unknown as AnyDefinition);
  object.metadata ??= {};
  if (definition.type.namespaced) object.metadata.namespace ??= 'default';
  definition.strategy.applyDefaults(object as T);
  definition.strategy.completeForCreate?.(object as T);
  definition.strategy.prepareForCreate(object as T);
  return object as T;
}

/** Why a create is refused, as "FIELD: MESSAGE"; none: it is not. */
export function refusals<T extends KubeObject>(definition: ResourceDefinition<T>, body: object): string[] {
  return definition.strategy
    .validateCreate(create(definition, body))
    .map(error => `${error.field}: ${describeFieldError(error)}`);
}

/** Why a change is refused: of what `body` makes, to what `change` makes of it. */
export function updateRefusals<T extends KubeObject>(
  definition: ResourceDefinition<T>,
  body: object,
  change: (o: T) => void,
): string[] {
  const old = create(definition, body);
  old.metadata = { ...old.metadata, resourceVersion: '1' };
  const next = structuredClone(old);
  change(next);
  definition.strategy.applyDefaults(next);
  definition.strategy.prepareForUpdate(next, old);
  return definition.strategy.validateUpdate(next, old).map(error => `${error.field}: ${describeFieldError(error)}`);
}
