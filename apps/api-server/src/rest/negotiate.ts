import type { AnyDefinition } from '@naru/api';
import { StatusError } from '@naru/foundation';

export interface Negotiated {
  media: 'json' | 'yaml';
  /** How the objects are shown. */
  as: 'object' | 'table' | 'metadata';
}

const plain: Negotiated = { media: 'json', as: 'object' };
const shapes: Record<string, Negotiated['as']> = {
  Table: 'table',
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata',
};

/**
 * Picks the first of the client's wishes that can be served; what is answered and never stored has no columns to show.
 * @throws StatusError NotAcceptable
 */
export function negotiate(accept: string | undefined, { verbs }: Pick<AnyDefinition, 'verbs'>): Negotiated {
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json') return plain;
  for (const wish of accept.split(',')) {
    const [type = '', ...parameters] = wish.split(';').map(part => part.trim());
    const media = type === 'application/yaml' ? 'yaml' : 'json';
    if (media === 'json' && type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    const options = Object.fromEntries(parameters.map(parameter => parameter.split('=') as [string, string]));
    if (options['as'] === undefined) return { media, as: 'object' };
    const as = shapes[options['as']];
    if (as === 'table' && !hasColumns(verbs)) continue;
    const isMeta = options['g'] === undefined || options['g'] === 'meta.k8s.io';
    if (as && isMeta && (options['v'] === undefined || options['v'] === 'v1')) return { media, as };
  }
  throw new StatusError(
    'NotAcceptable',
    'only the following media types are accepted: application/json, application/yaml',
  );
}

function hasColumns(verbs: AnyDefinition['verbs']): boolean {
  return verbs.some(verb => verb !== 'create');
}
