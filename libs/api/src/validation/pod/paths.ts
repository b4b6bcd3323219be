import { invalid, type FieldError } from '../field-error';

export const backstepMessage = "must not contain '..'";

export function hasBackstep(path: string): boolean {
  return path.split('/').includes('..');
}

/** A path that stays below where it starts. Source: core validation validateLocalDescendingPath. */
export function validateRelativePath(path: string | undefined, at: string, errors: FieldError[]): void {
  if (path?.startsWith('/')) errors.push(invalid(at, path, 'must be a relative path'));
  else if (path !== undefined && hasBackstep(path)) errors.push(invalid(at, path, backstepMessage));
}

/** Nor may it take a name that the kubelet keeps for itself. Source: ValidateLocalNonReservedPath. */
export function validateFilePath(path: string | undefined, at: string, errors: FieldError[]): void {
  validateRelativePath(path, at, errors);
  if (path?.startsWith('..') && !path.startsWith('../')) errors.push(invalid(at, path, "must not start with '..'"));
}
