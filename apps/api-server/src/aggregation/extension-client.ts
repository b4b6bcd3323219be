import https from 'node:https';
import { refuseUpgrade } from '@naru/foundation';
import type { Place } from '../egress/egress';
import { remoteUserHeaders } from './front-proxy';

export interface ExtensionTarget extends Place {
  agent?: https.Agent;
  tls: Pick<https.RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;
}

const timeoutMs = 5_000;
const maxAnswerBytes = 16 * 1024 * 1024;
/** Who asks on the server's own behalf, with every right. Source: kube-aggregator's availability controller. */
const aggregator = { username: 'system:kube-aggregator', groups: ['system:masters'] };

/** A document of an extension server. Rejects, in words for a condition, when it is not to be had. */
export function fetchDocument({ host, port, agent, tls }: ExtensionTarget, path: string): Promise<unknown> {
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
  const failed = (why: string): Error => new Error(`failing or missing response from ${url}: ${why}`);
  return new Promise((resolve, reject) => {
    const request = https.get({
      ...tls,
      host,
      port,
      path,
      ...(agent ? { agent } : {}),
      headers: { accept: 'application/json', ...remoteUserHeaders({}, aggregator) },
      signal: AbortSignal.timeout(timeoutMs),
    });
    refuseUpgrade(request);
    request.once('error', error =>
      reject(failed(error.name === 'AbortError' ? 'context deadline exceeded' : error.message)),
    );
    request.once('response', response => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if ((size += chunk.length) > maxAnswerBytes) response.destroy(new Error('the answer is too large'));
      });
      response.on('error', error => reject(failed(error.message)));
      response.on('end', () => {
        const { statusCode = 0 } = response;
        if (statusCode < 200 || statusCode > 299) return reject(failed(`bad status from ${url}: ${statusCode}`));
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch (error) {
          reject(failed((error as Error).message));
        }
      });
    });
  });
}
