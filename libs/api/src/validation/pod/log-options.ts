import { booleanParameter, integerParameter, timeParameter } from '../../decode/query';
import { forbidden, invalid, invalidObject, notSupported, type FieldError } from '../field-error';

const streams = ['All', 'Stdout', 'Stderr'];

/** The query of `GET pods/NAME/log` as upstream's v1.PodLogOptions; `sinceTime` in milliseconds. */
export interface PodLogOptions {
  follow: boolean;
  previous: boolean;
  timestamps: boolean;
  sinceSeconds?: number | undefined;
  sinceTime?: number | undefined;
  tailLines?: number | undefined;
  limitBytes?: number | undefined;
  stream?: string | undefined;
}

/**
 * Reads and judges the query for a log, as api-server and kubelet both do. Throws BadRequest for what is no number or time, Invalid (422)
 * for what makes no sense. Source: pkg/apis/core/validation ValidatePodLogOptions.
 */
export function parsePodLogOptions(query: URLSearchParams, pod: string): PodLogOptions {
  const options: PodLogOptions = {
    follow: booleanParameter(query, 'follow'),
    previous: booleanParameter(query, 'previous'),
    timestamps: booleanParameter(query, 'timestamps'),
    sinceSeconds: integerParameter(query, 'sinceSeconds'),
    sinceTime: timeParameter(query, 'sinceTime'),
    tailLines: integerParameter(query, 'tailLines'),
    limitBytes: integerParameter(query, 'limitBytes'),
    stream: query.get('stream') || undefined,
  };
  const errors = validate(options);
  if (errors.length > 0) throw invalidObject({ group: '', kind: 'PodLogOptions' }, pod, errors);
  return options;
}

function validate({ tailLines, limitBytes, sinceSeconds, sinceTime, stream }: PodLogOptions): FieldError[] {
  const errors: FieldError[] = [];
  if (tailLines !== undefined && tailLines < 0)
    errors.push(invalid('tailLines', tailLines, 'must be greater than or equal to 0'));
  const positive = 'must be greater than 0';
  if (limitBytes !== undefined && limitBytes < 1) errors.push(invalid('limitBytes', limitBytes, positive));
  if (sinceSeconds !== undefined && sinceTime !== undefined)
    errors.push(forbidden('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'));
  else if (sinceSeconds !== undefined && sinceSeconds < 1) errors.push(invalid('sinceSeconds', sinceSeconds, positive));
  if (stream !== undefined && !streams.includes(stream)) errors.push(notSupported('stream', stream, streams));
  return errors;
}
