import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { Authority, createAuthority } from '@naru/pki';

export interface Answer {
  allowed: boolean;
  status?: object;
  /** Operations of a JSON patch. */
  patch?: object[];
  warnings?: string[];
}

/** `request` of an AdmissionReview. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers are looked at field by field, and jest compares
export type ReviewedRequest = Record<string, any>;

/** A real HTTPS server on loopback that answers AdmissionReviews by their path. */
export interface WebhookServer {
  /** Every review that came, with its path. */
  seen: { path: string; request: ReviewedRequest }[];
  /** How a path answers; one that is not set allows everything. A promise may stay open; a number is a status code and nothing else. */
  answers: Map<string, (request: ReviewedRequest) => Answer | number | Promise<Answer>>;
  port: number;
  /** PEM in base64. */
  caBundle: string;
  clientConfig(path: string): { url: string; caBundle: string };
  close(): Promise<void>;
}

export async function startWebhookServer(dnsNames: string[] = ['localhost']): Promise<WebhookServer> {
  const authority = await Authority.load(await createAuthority());
  const { certificate, key } = await authority.issue({
    subject: { commonName: 'webhook' },
    usages: ['server'],
    dnsNames,
    ipAddresses: ['127.0.0.1'],
  });
  const caBundle = Buffer.from(authority.certificate).toString('base64');
  const webhook: WebhookServer = {
    seen: [],
    answers: new Map(),
    port: 0,
    caBundle,
    clientConfig: path => ({ url: `https://127.0.0.1:${webhook.port}${path}`, caBundle }),
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  const respond = async (url: string, body: string): Promise<string | number> => {
    const { apiVersion, kind, request } = JSON.parse(body) as {
      apiVersion: string;
      kind: string;
      request: ReviewedRequest;
    };
    const path = url.split('?')[0]!;
    webhook.seen.push({ path: url, request });
    const given = (await webhook.answers.get(path)?.(request)) ?? { allowed: true };
    if (typeof given === 'number') return given;
    const { patch, ...answer } = given;
    const patched = patch && {
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    };
    return JSON.stringify({ apiVersion, kind, response: { uid: request['uid'] as string, ...answer, ...patched } });
  };
  const server = https.createServer({ cert: certificate, key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      respond(request.url ?? '/', Buffer.concat(chunks).toString()).then(
        answer => {
          // Of the codes without more, 101 is none for Node unless its connection is said to be upgraded.
          if (typeof answer === 'number') response.writeHead(answer, { connection: 'Upgrade', upgrade: 'other' }).end();
          else response.setHeader('content-type', 'application/json').end(answer);
        },
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  webhook.port = (server.address() as AddressInfo).port;
  return webhook;
}
