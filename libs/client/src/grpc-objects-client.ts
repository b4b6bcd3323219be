import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import type { KubeObject, ObjectList, ResourceType, Stored } from '@naru/api';
import { StatusError, type Reason, type Status } from '@naru/foundation';
import { objects } from '@naru/proto';
import { CallStream } from './call-stream';
import {
  patchTypes,
  type DeleteOptions,
  type ListOptions,
  type ObjectKey,
  type ObjectsClient,
  type Patch,
  type WriteOptions,
} from './objects-client';

/** Files in PEM; the certificate says who the process is. */
export interface TlsFiles {
  ca: string;
  certificate: string;
  key: string;
}

const listTimeoutMs = 60_000;
/** A single object stays far below this; a list comes in chunks. */
const maxMessageBytes = 16 * 1024 * 1024;
const emptyBytes = Buffer.alloc(0);

/** gRPC codes that say something although no Status came with them: the server was never reached, or did not answer. */
const reasonsByCode: Partial<Record<grpc.status, Reason>> = {
  [grpc.status.UNAVAILABLE]: 'ServiceUnavailable',
  [grpc.status.DEADLINE_EXCEEDED]: 'Timeout',
  [grpc.status.UNAUTHENTICATED]: 'Unauthorized',
  [grpc.status.RESOURCE_EXHAUSTED]: 'TooManyRequests',
};

function toStatusError(error: grpc.ServiceError, signal?: AbortSignal): Error {
  if (signal?.aborted) return signal.reason as Error;
  const [detail] = error.metadata?.get('naru-status-bin') ?? [];
  if (detail) return StatusError.fromStatus(JSON.parse(detail.toString()) as Status);
  const reason = reasonsByCode[error.code] ?? 'InternalError';
  return new StatusError(reason, `the api-server did not answer: ${error.details}`, { cause: error });
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function decode<T>(bytes: Uint8Array): T {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as T;
}

function writeOptions(options: WriteOptions): objects.WriteOptions {
  return { dryRun: options.dryRun ?? false, fieldManager: options.fieldManager ?? '', fieldValidation: '' };
}

/** The native transport: the gRPC door of the api-server over mTLS. */
export class GrpcObjectsClient implements ObjectsClient {
  private readonly stub: objects.ObjectsClient;
  private readonly calls: CallStream;

  /** `address` is `HOST:PORT`, or several separated by commas: the first one that answers is used. */
  constructor(address: string, tls: TlsFiles) {
    const credentials = grpc.credentials.createSsl(
      readFileSync(tls.ca),
      readFileSync(tls.key),
      readFileSync(tls.certificate),
    );
    const target = address.includes(',') ? `ipv4:${address}` : address;
    this.stub = new objects.ObjectsClient(target, credentials, {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000,
      // The server's certificate names it `kubernetes`, whatever address it is reached by.
      'grpc.ssl_target_name_override': 'kubernetes',
    });
    this.calls = new CallStream(() => this.stub.calls(), toStatusError);
  }

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, signal?: AbortSignal): Promise<Stored<T>> {
    const value = { target: target(type, key), resourceVersion: '' };
    return decode(await this.calls.call({ $case: 'get', value }, signal));
  }

  list<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions = {},
    signal?: AbortSignal,
  ): Promise<ObjectList<Stored<T>>> {
    const call = this.stub.list(
      {
        target: target(type, { namespace: options.namespace, name: '' }),
        labelSelector: options.labelSelector ?? '',
        fieldSelector: options.fieldSelector ?? '',
        limit: 0,
        continue: '',
        resourceVersion: options.resourceVersion ?? '',
        resourceVersionMatch: '',
      },
      { deadline: Date.now() + listTimeoutMs },
    );
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    return new Promise((resolve, reject) => {
      const items: Stored<T>[] = [];
      let resourceVersion = '';
      call.on('data', (chunk: objects.ListChunk) => {
        for (const item of chunk.items) items.push(decode<Stored<T>>(item));
        resourceVersion ||= chunk.resourceVersion;
      });
      call.on('end', () => {
        signal?.removeEventListener('abort', cancel);
        resolve({ metadata: { resourceVersion }, items });
      });
      call.on('error', (error: grpc.ServiceError) => {
        signal?.removeEventListener('abort', cancel);
        reject(toStatusError(error, signal));
      });
    });
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<Stored<T>> {
    const key = { namespace: object.metadata?.namespace, name: object.metadata?.name ?? '' };
    const value = {
      target: target(type, key, options.subresource),
      object: encode(object),
      options: writeOptions(options),
    };
    return decode(await this.calls.call({ $case: 'create', value }));
  }

  async createSubresource<Body extends KubeObject, Answer = Body>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    body: Body,
  ): Promise<Answer> {
    const value = { target: target(type, key, subresource), object: encode(body), options: writeOptions({}) };
    return decode(await this.calls.call({ $case: 'create', value }));
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<Stored<T>> {
    const key = { namespace: object.metadata?.namespace, name: object.metadata?.name ?? '' };
    const value = {
      target: target(type, key, options.subresource),
      object: encode(object),
      options: writeOptions(options),
    };
    return decode(await this.calls.call({ $case: 'update', value }));
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<Stored<T>> {
    const value = {
      target: target(type, key, options.subresource),
      patchType: patchTypes[patch.type],
      patch: encode(patch.body),
      options: writeOptions(options),
      force: false,
    };
    return decode(await this.calls.call({ $case: 'patch', value }));
  }

  async delete(type: ResourceType, key: ObjectKey, options?: DeleteOptions): Promise<void> {
    const value = { target: target(type, key), options: options ? encode(options) : emptyBytes };
    await this.calls.call({ $case: 'delete', value });
  }

  async deleteCollection(type: ResourceType, selection: ListOptions, options?: DeleteOptions): Promise<void> {
    const value = {
      target: target(type, { namespace: selection.namespace, name: '' }),
      labelSelector: selection.labelSelector ?? '',
      fieldSelector: selection.fieldSelector ?? '',
      options: options ? encode(options) : emptyBytes,
    };
    await this.calls.call({ $case: 'deleteCollection', value });
  }

  close(): void {
    this.calls.close();
    this.stub.close();
  }
}

function target(type: ResourceType, key: ObjectKey, subresource = ''): objects.ResourceName {
  const { group, version, resource } = type;
  return { group, version, resource, namespace: key.namespace ?? '', name: key.name, subresource };
}
