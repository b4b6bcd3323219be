import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { KubeObject } from '@naru/api';
import { eventually } from '@naru/testing';
import { kubeconfig } from './cluster';

/** The API of the shared cluster without a process for each question. */
export interface Answer<T> {
  code: number;
  body: T;
}

/** An object whose fields are looked at by name. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers are looked at field by field, and jest compares
export type Loose = Record<string, any>;

interface Access {
  server: URL;
  agent: https.Agent;
}

let access: Access | undefined;

function connect(): Access {
  const { clusters, users } = JSON.parse(readFileSync(kubeconfig, 'utf8')) as {
    clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }];
    users: [{ user: { 'client-certificate-data': string; 'client-key-data': string } }];
  };
  const decode = (text: string): Buffer => Buffer.from(text, 'base64');
  const [{ cluster }] = clusters;
  const [{ user }] = users;
  const agent = new https.Agent({
    keepAlive: true,
    ca: decode(cluster['certificate-authority-data']),
    cert: decode(user['client-certificate-data']),
    key: decode(user['client-key-data']),
  });
  return { server: new URL(cluster.server), agent };
}

const patchTypes = { merge: 'application/merge-patch+json', strategic: 'application/strategic-merge-patch+json' };

/** Resolves whatever the code is. A PATCH is a merge patch unless `patch` says otherwise. */
export function ask<T = Loose>(
  method: string,
  path: string,
  body?: unknown,
  patch: keyof typeof patchTypes = 'merge',
): Promise<Answer<T>> {
  const { server, agent } = (access ??= connect());
  const data = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    'content-type': method === 'PATCH' ? patchTypes[patch] : 'application/json',
    ...(data === undefined ? {} : { 'content-length': Buffer.byteLength(data) }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = https.request(
      { host: server.hostname, port: server.port, agent, method, path, headers },
      incoming => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ code: incoming.statusCode ?? 0, body: (text.startsWith('{') ? JSON.parse(text) : text) as T });
        });
      },
    );
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      // The server may close a connection that was idle at the moment when it is used again; then it has read nothing of this.
      const isClosed = error.code === 'ECONNRESET' || error.code === 'EPIPE';
      if (outgoing.reusedSocket && isClosed) resolve(ask<T>(method, path, body, patch));
      else reject(error);
    });
    outgoing.end(data);
  });
}

/** The same, and rejects with what the server says when it is no success. */
export async function must<T = Loose>(...args: Parameters<typeof ask>): Promise<T> {
  const { code, body } = await ask<T>(...args);
  if (code >= 300) throw new Error(`${args[0]} ${args[1]}: ${code} ${JSON.stringify(body)}`);
  return body;
}

/** Waits until `check` accepts the object at the path; the bound is for busy machines. */
export function until<T = Loose>(path: string, check: (object: T) => void, timeoutMs = 90_000): Promise<T> {
  return eventually(
    async () => {
      const object = await must<T>('GET', path);
      check(object);
      return object;
    },
    timeoutMs,
    200,
  );
}

export function untilGone(path: string, timeoutMs = 90_000): Promise<void> {
  return eventually(async () => expect((await ask('GET', path)).code).toBe(404), timeoutMs, 200);
}

/** A namespace of the test's own, with its service account there, that goes with the test. */
export async function inNamespace(prefix: string, body: (path: string, name: string) => Promise<void>): Promise<void> {
  const { metadata } = await must<KubeObject>('POST', '/api/v1/namespaces', {
    metadata: { generateName: `${prefix}-` },
  });
  const name = metadata?.name ?? '';
  const path = `/api/v1/namespaces/${name}`;
  try {
    await eventually(() => must('GET', `${path}/serviceaccounts/default`), 90_000, 100);
    await body(path, name);
  } finally {
    await ask('DELETE', path);
  }
}
