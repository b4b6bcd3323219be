import type { AnyDefinition, FieldValidation, KubeObject } from '@naru/api';

/** Who asks, as authentication found out. */
export interface UserInfo {
  username: string;
  uid?: string | undefined;
  groups: readonly string[];
  extra?: Record<string, string[]> | undefined;
}

/** What came in, not parsed yet. */
export interface Body {
  bytes: Uint8Array;
  /** A media type without parameters; "" means JSON. */
  mediaType: string;
}

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection' | 'connect';

/** One request to a resource, whatever door it came through. */
export interface ObjectRequest {
  user: UserInfo;
  verb: Verb;
  definition: AnyDefinition;
  /** "" for cluster-scoped resources and for lists over all namespaces. */
  namespace: string;
  /** "" for lists and creates. */
  name: string;
  /** "" for the object itself. */
  subresource: string;
  dryRun: boolean;
  fieldManager: string;
  /** Who the writer is when `fieldManager` does not say: the client's program. */
  userAgent?: string | undefined;
  /** Of server-side apply: takes fields from others. */
  force?: boolean | undefined;
  fieldValidation: FieldValidation | undefined;
  /** Shown to the client after the call; bounded by `warn`. */
  warnings: string[];
  signal: AbortSignal;
}

const maxWarnings = 50;

export function warn(request: Pick<ObjectRequest, 'warnings'>, texts: readonly string[] = []): void {
  for (const text of texts)
    if (request.warnings.length < maxWarnings && !request.warnings.includes(text)) request.warnings.push(text);
}

/** An answer that is one object: its bytes, and how it went. */
export interface ObjectReply {
  code: 200 | 201 | 202;
  bytes: Buffer;
}

/** metav1.DeleteOptions. */
export interface DeleteOptions {
  gracePeriodSeconds?: number | null;
  preconditions?: { uid?: string; resourceVersion?: string } | null;
  orphanDependents?: boolean | null;
  propagationPolicy?: string | null;
  dryRun?: string[] | null;
}

export function jsonReply(value: unknown, code: ObjectReply['code'] = 200): ObjectReply {
  return { code, bytes: Buffer.from(JSON.stringify(value)) };
}

export type { KubeObject };
