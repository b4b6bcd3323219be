import { StatusError, type StatusDetails } from '@naru/foundation';
import type { ResourceType } from '@naru/api';

type Named = Pick<ResourceType, 'group' | 'resource'>;

/** `deployments.apps`, `pods`. */
export function qualifiedResource({ group, resource }: Named): string {
  return group === '' ? resource : `${resource}.${group}`;
}

function detailsOf({ group, resource }: Named, name: string, more: StatusDetails = {}): StatusDetails {
  return { ...(name === '' ? {} : { name }), ...(group === '' ? {} : { group }), kind: resource, ...more };
}

export function notFound(type: Named, name: string): StatusError {
  return new StatusError('NotFound', `${qualifiedResource(type)} "${name}" not found`, {
    details: detailsOf(type, name),
  });
}

export function alreadyExists(type: Named, name: string): StatusError {
  return new StatusError('AlreadyExists', `${qualifiedResource(type)} "${name}" already exists`, {
    details: detailsOf(type, name),
  });
}

export const modified = 'the object has been modified; please apply your changes to the latest version and try again';

export function conflict(type: Named, name: string, why: string = modified): StatusError {
  return new StatusError('Conflict', `Operation cannot be fulfilled on ${qualifiedResource(type)} "${name}": ${why}`, {
    details: detailsOf(type, name),
  });
}

/** Upstream leaves the name out where there is none (lists, generateName). */
export function forbidden(type: Named, name: string, why: string): StatusError {
  const subject = name === '' ? qualifiedResource(type) : `${qualifiedResource(type)} "${name}"`;
  return new StatusError('Forbidden', `${subject} is forbidden: ${why}`, { details: detailsOf(type, name) });
}

export function badRequest(message: string, cause?: unknown): StatusError {
  return new StatusError('BadRequest', message, { cause });
}

export function methodNotAllowed(
  message = 'the server does not allow this method on the requested resource',
): StatusError {
  return new StatusError('MethodNotAllowed', message);
}

/** A path or verb that leads nowhere. */
export function pageNotFound(): StatusError {
  return new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
}
