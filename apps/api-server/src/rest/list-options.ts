import { integerParameter } from '@naru/api';
import { StatusError, type StatusCause } from '@naru/foundation';
import type { ListQuery } from '../objects/list';

/** The query of a list or watch; for watches also what is theirs alone. */
export interface ListOptions extends ListQuery {
  timeoutSeconds: number;
  sendInitialEvents: boolean;
}

const matches = new Set(['Exact', 'NotOlderThan']);

/**
 * Reads metav1.ListOptions and checks what may stand together.
 * Source: apimachinery pkg/apis/meta/internalversion/validation.
 * @throws StatusError BadRequest, Invalid
 */
export function parseListOptions(query: URLSearchParams, isWatch: boolean): ListOptions {
  const options: ListOptions = {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: Math.max(0, integerParameter(query, 'limit') ?? 0),
    continue: query.get('continue') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
    timeoutSeconds: integerParameter(query, 'timeoutSeconds') ?? 0,
    sendInitialEvents: query.get('sendInitialEvents') === 'true',
  };
  const problem = isWatch ? watchProblem(query, options) : listProblem(query, options);
  if (problem) throw invalidOptions(problem);
  return options;
}

const matchField = 'resourceVersionMatch';

function forbidden(field: string, detail: string): StatusCause {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${detail}` };
}

function notSupported(value: string): StatusCause {
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: "Exact", "NotOlderThan", ""`;
  return { reason: 'FieldValueNotSupported', field: matchField, message };
}

function listProblem(query: URLSearchParams, options: ListOptions): StatusCause | undefined {
  const { resourceVersionMatch: match, resourceVersion } = options;
  if (query.has('sendInitialEvents')) return forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  if (match === '') return undefined;
  if (resourceVersion === '')
    return forbidden(matchField, `${matchField} is forbidden unless resourceVersion is provided`);
  if (options.continue !== '') return forbidden(matchField, `${matchField} is forbidden when continue is provided`);
  if (!matches.has(match)) return notSupported(match);
  if (match === 'Exact' && resourceVersion === '0')
    return forbidden(matchField, `${matchField} "exact" is forbidden for resourceVersion "0"`);
  return undefined;
}

function watchProblem(query: URLSearchParams, { resourceVersionMatch: match }: ListOptions): StatusCause | undefined {
  if (query.has('sendInitialEvents')) {
    if (match !== 'NotOlderThan')
      return forbidden(matchField, `sendInitialEvents requires setting ${matchField} to NotOlderThan`);
    return undefined;
  }
  if (match !== '')
    return forbidden(matchField, `${matchField} is forbidden for watch unless sendInitialEvents is provided`);
  return undefined;
}

function invalidOptions(cause: StatusCause): StatusError {
  return new StatusError('Invalid', `ListOptions.meta.k8s.io "" is invalid: ${cause.field}: ${cause.message}`, {
    details: { group: 'meta.k8s.io', kind: 'ListOptions', causes: [cause] },
  });
}
