import { invalid, required, type FieldError } from './field-error';
import { dnsLabelProblem } from './names';

/** Where a webhook is asked: a URL, or a Service of the cluster. */
export interface WebhookClientConfig {
  url?: string | undefined;
  service?:
    | {
        name?: string | undefined;
        namespace?: string | undefined;
        path?: string | undefined;
        port?: number | undefined;
      }
    | undefined;
}

export const defaultWebhookPort = 443;

/** Source: apiserver pkg/util/webhook/validation.go. */
export function validateWebhookClient(
  config: WebhookClientConfig | undefined,
  path: string,
  errors: FieldError[],
): void {
  const { url, service } = config ?? {};
  if ((url === undefined) === (service === undefined))
    errors.push(required(path, 'exactly one of url or service is required'));
  else if (url !== undefined) validateUrl(url, `${path}.url`, errors);
  else if (service) validateService(service, `${path}.service`, errors);
}

function validateService(
  { name, namespace, path: urlPath, port }: NonNullable<WebhookClientConfig['service']>,
  path: string,
  errors: FieldError[],
): void {
  if (!name) errors.push(required(`${path}.name`, 'service name is required'));
  if (!namespace) errors.push(required(`${path}.namespace`, 'service namespace is required'));
  else if (dnsLabelProblem(namespace))
    errors.push(invalid(`${path}.namespace`, namespace, dnsLabelProblem(namespace) ?? ''));
  if (urlPath && !urlPath.startsWith('/')) errors.push(invalid(`${path}.path`, urlPath, "must start with a '/'"));
  if (port !== undefined && (port < 1 || port > 65535))
    errors.push(invalid(`${path}.port`, port, 'port is not valid: must be between 1 and 65535, inclusive'));
}

function validateUrl(text: string, path: string, errors: FieldError[]): void {
  const form = 'desired format: https://host[/path]';
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    errors.push(required(path, `url must be a valid URL: ${(error as Error).message}; ${form}`));
    return;
  }
  if (url.protocol !== 'https:')
    errors.push(invalid(path, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme; ${form}`));
  if (url.username || url.password) errors.push(invalid(path, '', 'user information is not permitted in the URL'));
  if (url.hash) errors.push(invalid(path, url.hash.slice(1), 'fragments are not permitted in the URL'));
  if (url.search) errors.push(invalid(path, url.search.slice(1), 'query parameters are not permitted in the URL'));
}
