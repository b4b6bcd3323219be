import type { Scheme } from '../scheme/scheme';

/** A document as the JSON bytes to send, with its strong ETag. Cached until the scheme changes. */
export interface OpenApiDocument {
  json: Uint8Array;
  /** Upper-case hex SHA-512 of the content, as upstream's `hash` parameter. */
  hash: string;
}

/** GET /openapi/v3: the index. */
export function openApiV3Index(_scheme: Scheme): OpenApiDocument {
  throw new Error('not there yet');
}

/** GET /openapi/v3/api/v1, /openapi/v3/apis/apps/v1: `path` is "api/v1" or "apis/apps/v1". Undefined when unknown. */
export function openApiV3(_scheme: Scheme, _path: string): OpenApiDocument | undefined {
  throw new Error('not there yet');
}

/** GET /openapi/v2 as JSON. */
export function openApiV2(_scheme: Scheme): OpenApiDocument {
  throw new Error('not there yet');
}
