import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { loadKubeconfig, patchTypes, RestConnection, type RestConfig } from '@naru/client';
import type { KubeObject } from '@naru/api';
import { eventually } from '@naru/testing';
import WebSocket from 'ws';
import { kubeconfig } from '../cluster';

/** An object as the server gives it. */
export type Known<T> = T & {
  metadata: NonNullable<KubeObject['metadata']> & { name: string; resourceVersion: string };
};

export interface List<T> {
  metadata: { resourceVersion: string };
  items: Known<T>[];
}

const callTimeoutMs = 60_000;
/** For pods that start on a busy machine. */
export const patienceMs = 120_000;

let opened: Promise<{ config: RestConfig; connection: RestConnection }> | undefined;
function connect(): Promise<{ config: RestConfig; connection: RestConnection }> {
  opened ??= loadKubeconfig(kubeconfig).then(config => ({
    config,
    connection: new RestConnection(config, 'conformance-test'),
  }));
  return opened;
}

async function call(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  contentType?: string,
): Promise<Buffer> {
  const { connection } = await connect();
  return connection.call({ method, path, body, timeoutMs: callTimeoutMs, ...(contentType ? { contentType } : {}) });
}

const json = async <T>(answer: Promise<Buffer>): Promise<Known<T>> => JSON.parse((await answer).toString()) as Known<T>;

/**
 * The REST API of the shared cluster, by paths: what upstream's tests ask of their client, one request each. Failures are
 * StatusErrors.
 */
export const api = {
  get: <T extends KubeObject>(path: string): Promise<Known<T>> => json(call('GET', path)),
  list: async <T extends KubeObject>(path: string): Promise<List<T>> =>
    JSON.parse((await call('GET', path)).toString()) as List<T>,
  text: async (path: string): Promise<string> => (await call('GET', path)).toString(),
  create: <T extends KubeObject>(path: string, object: T): Promise<Known<T>> => json(call('POST', path, object)),
  replace: <T extends KubeObject>(path: string, object: T): Promise<Known<T>> => json(call('PUT', path, object)),
  patch: <T extends KubeObject>(
    path: string,
    body: unknown,
    type: keyof typeof patchTypes = 'strategic',
  ): Promise<Known<T>> => json(call('PATCH', path, body, patchTypes[type])),
  remove: (path: string, options?: object): Promise<Known<KubeObject>> => json(call('DELETE', path, options)),
  /** Any method; the answer before its body, whatever its code is. */
  open: async (method: string, path: string, signal?: AbortSignal): Promise<IncomingMessage> => {
    const { ca, certificate: cert, key, server } = (await connect()).config;
    return new Promise((resolve, reject) => {
      const request = httpsRequest(`${server}${path}`, { method, ca, cert, key, signal }, resolve);
      request.on('error', reject);
      request.end();
    });
  },
  /** Reads, changes and writes until nobody came between. */
  change: async <T extends KubeObject>(
    path: string,
    change: (object: Known<T>) => void,
    subresource = '',
  ): Promise<Known<T>> => {
    for (;;) {
      const object = await api.get<T>(path + subresource);
      change(object);
      try {
        return await api.replace<T>(path + subresource, object);
      } catch (error) {
        if ((error as { reason?: string }).reason !== 'Conflict') throw error;
      }
    }
  },
};

/** All messages of a WebSocket until the server closes it, by channel where the protocol has channels. */
export async function messagesOf(path: string, protocol: string): Promise<Buffer[]> {
  const { config } = await connect();
  const { ca, certificate: cert, key, server } = config;
  const socket = new WebSocket(server.replace(/^http/, 'ws') + path, [protocol], { ca, cert, key });
  const messages: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.on('message', data => messages.push(data as Buffer));
    socket.on('close', () => resolve(messages));
    socket.on('error', reject);
  });
}

/** What a command in a container prints on both channels; rejects when it fails. */
export async function exec(pod: string, command: string[], container?: string): Promise<string> {
  const query = new URLSearchParams({ stdout: '1', stderr: '1' });
  for (const word of command) query.append('command', word);
  if (container) query.set('container', container);
  const messages = await messagesOf(`${pod}/exec?${query}`, 'v4.channel.k8s.io');
  const textOf = (...channels: number[]): string =>
    Buffer.concat(
      messages.filter(([channel]) => channels.includes(channel as number)).map(m => m.subarray(1)),
    ).toString();
  const result = JSON.parse(textOf(3)) as { status: string; message?: string };
  if (result.status !== 'Success') throw new Error(`${command.join(' ')}: ${result.message}: ${textOf(1, 2)}`);
  return textOf(1, 2);
}

/** A namespace in which pods may be made. */
export async function makeNamespace(name: string): Promise<string> {
  await api.create('/api/v1/namespaces', { metadata: { name } });
  await eventually(() => api.get(`/api/v1/namespaces/${name}/serviceaccounts/default`), patienceMs, 50);
  return `/api/v1/namespaces/${name}`;
}
