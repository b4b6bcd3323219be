import type { Container, Probe } from '../../types';
import { forbidden, invalid, notSupported, required, type FieldError } from '../field-error';
import { isPort, portNameProblem, portRangeMessage } from '../names';

type Handler = NonNullable<NonNullable<Container['lifecycle']>['postStart']>;

const schemes = ['HTTP', 'HTTPS'];

function validateProbe(probe: Probe | undefined, path: string, errors: FieldError[]): void {
  if (!probe) return;
  validateHandler(probe as Handler & { grpc?: { port: number } }, path, errors);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const) {
    const value = probe[field];
    if (value !== undefined && value < 0)
      errors.push(invalid(`${path}.${field}`, value, 'must be greater than or equal to 0'));
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0)
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
}

/** Liveness and startup probes are right or wrong at the first success. */
export function validateLivenessProbe(probe: Probe | undefined, path: string, errors: FieldError[]): void {
  validateProbe(probe, path, errors);
  if (probe && probe.successThreshold !== 1)
    errors.push(invalid(`${path}.successThreshold`, probe.successThreshold, 'must be 1'));
}

/** Nothing ends by a readiness probe. */
export function validateReadinessProbe(probe: Probe | undefined, path: string, errors: FieldError[]): void {
  validateProbe(probe, path, errors);
  const grace = probe?.terminationGracePeriodSeconds;
  if (grace !== undefined)
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'));
}

/** Exactly one of exec, httpGet, tcpSocket, grpc and sleep, the last no longer than the pod has to end. */
export function validateHandler(
  handler: Handler & { grpc?: { port: number } | undefined },
  path: string,
  errors: FieldError[],
  graceSeconds?: number,
): void {
  let found = 0;
  const first = (name: string): boolean => {
    found++;
    if (found > 1) errors.push(forbidden(`${path}.${name}`, 'may not specify more than 1 handler type'));
    return found === 1;
  };
  if (handler.exec && first('exec') && !handler.exec.command?.length) errors.push(required(`${path}.exec.command`));
  if (handler.httpGet && first('httpGet')) {
    const { path: url, port, scheme, httpHeaders } = handler.httpGet;
    if (!url) errors.push(required(`${path}.httpGet.path`));
    validatePortOrName(port, `${path}.httpGet.port`, errors);
    if (!schemes.includes(scheme ?? '')) errors.push(notSupported(`${path}.httpGet.scheme`, scheme ?? '', schemes));
    for (const [index, header] of (httpHeaders ?? []).entries()) {
      if (!/^[-A-Za-z0-9!#$%&'*+.^_`|~]+$/.test(header.name))
        errors.push(
          invalid(
            `${path}.httpGet.httpHeaders[${index}].name`,
            header.name,
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
          ),
        );
    }
  }
  if (handler.tcpSocket && first('tcpSocket'))
    validatePortOrName(handler.tcpSocket.port, `${path}.tcpSocket.port`, errors);
  if (handler.grpc && first('grpc') && !isPort(handler.grpc.port))
    errors.push(invalid(`${path}.grpc.port`, handler.grpc.port, portRangeMessage));
  if (handler.sleep && first('sleep') && graceSeconds !== undefined) {
    const { seconds } = handler.sleep;
    const why = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`;
    if (seconds < 0 || seconds > graceSeconds) errors.push(invalid(`${path}.sleep`, seconds, why));
  }
  if (found === 0) errors.push(required(path, 'must specify a handler type'));
}

export function validatePortOrName(port: string | number | undefined, path: string, errors: FieldError[]): void {
  if (typeof port === 'number' || port === undefined) {
    if (!isPort(port ?? 0)) errors.push(invalid(path, port ?? 0, portRangeMessage));
    return;
  }
  const problem = portNameProblem(port);
  if (problem) errors.push(invalid(path, port, problem));
}
