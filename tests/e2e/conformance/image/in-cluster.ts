import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';

const account = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Asks the API server as the pod's account; `url` is a path, or the whole address of something that it serves. */
export function askServer<T>(method: string, url: string, body?: unknown): Promise<T> {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = process.env;
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const headers = {
    authorization: `Bearer ${readFileSync(`${account}/token`, 'utf8')}`,
    'content-type': 'application/json',
  };
  const ca = readFileSync(`${account}/ca.crt`);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(new URL(url, server), { method, headers, ca, agent: false }, response => {
      let text = '';
      response.on('data', chunk => (text += String(chunk)));
      response.on('end', () => {
        if (response.statusCode! < 300) resolve(JSON.parse(text) as T);
        else reject(new Error(`${method} ${url}: ${response.statusCode} ${text}`));
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
