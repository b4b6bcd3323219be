import * as grpc from '@grpc/grpc-js';
import { StatusError, reasons, type Logger } from '@naru/foundation';
import type { FieldValidation, Scheme } from '@naru/api';
import { objects } from '@naru/proto';
import type { Authenticator } from '../auth/authenticator';
import { badRequest, pageNotFound } from '../objects/failures';
import { listParts } from '../rest/views';
import type { Pipeline } from '../objects/pipeline';
import { presentBytes } from '../objects/present';
import type { Body, DeleteOptions, ObjectRequest, UserInfo, Verb } from '../objects/request';
import { CallStream, type CallRequest, type Stream } from './call-stream';
import { Deadlines } from './deadlines';
import { Peers } from './peers';

export interface ObjectsDoorDeps {
  logger: Logger;
  scheme: Scheme;
  pipeline: Pipeline;
  authenticator: Authenticator;
  tls: { ca: string; certificate: string; key: string };
}

const maxMessageBytes = 16 * 1024 * 1024;
/** A chunk of a list: far below the limit, large enough to be cheap. */
const chunkBytes = 1024 * 1024;
/** Calls without a deadline of their own get this one. */
const defaultDeadlineMs = 60_000;
/** At the end, for calls that are being answered. */
const graceMs = 2000;

/** Who asks, and for how long the answer is waited for. */
interface Caller {
  call: Stream | grpc.ServerWritableStream<unknown, unknown>;
  timeoutMs: number;
}

/** The gRPC door: the same pipeline as REST, for Naru's own processes. */
export class ObjectsDoor {
  private readonly server: grpc.Server;
  private readonly peers: Peers;
  private readonly deadlines = new Deadlines();
  private readonly streams = new Set<CallStream>();

  constructor(private readonly deps: ObjectsDoorDeps) {
    this.peers = new Peers(deps.authenticator);
    this.server = new grpc.Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.max_concurrent_streams': 1000,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
    });
    this.server.addService(objects.ObjectsService, this.implementation());
  }

  /** Listens on HOST:PORT with mTLS; gives the port. */
  listen(address: string): Promise<number> {
    const { ca, certificate, key } = this.deps.tls;
    const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) };
    const credentials = grpc.ServerCredentials.createSsl(Buffer.from(ca), [pair], true);
    return new Promise((resolve, reject) => {
      this.server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
    });
  }

  async close(): Promise<void> {
    for (const calls of this.streams) calls.finish();
    await new Promise<void>(resolve => {
      // The server does not always tell of its end: it waits for word of a session that was about to end by itself.
      const cut = setTimeout(() => {
        this.server.forceShutdown();
        resolve();
      }, graceMs);
      this.server.tryShutdown(() => {
        clearTimeout(cut);
        resolve();
      });
    });
  }

  private implementation(): objects.ObjectsServer {
    return {
      calls: stream => {
        const calls = new CallStream({
          stream,
          handle: (request, timeoutMs) => this.answer({ call: stream, timeoutMs }, request),
          toStatus: error => this.toStatusError(error).toStatus(),
        });
        this.streams.add(calls);
        stream.on('close', () => this.streams.delete(calls));
      },
      list: call => {
        this.list(call).catch((error: unknown) => call.destroy(this.toServiceError(error) as unknown as Error));
      },
    };
  }

  private async answer(caller: Caller, { $case, value }: CallRequest): Promise<Buffer> {
    const { pipeline } = this.deps;
    const { target } = value;
    switch ($case) {
      case 'get':
        return (await pipeline.get(this.toRequest(caller, 'get', target), value.resourceVersion)).bytes;
      case 'create':
        return (await pipeline.create(this.toRequest(caller, 'create', target, value.options), json(value.object)))
          .bytes;
      case 'update':
        return (await pipeline.update(this.toRequest(caller, 'update', target, value.options), json(value.object)))
          .bytes;
      case 'patch': {
        const request = this.toRequest(caller, 'patch', target, value.options);
        const body = { bytes: value.patch, mediaType: value.patchType };
        return (await pipeline.patch({ ...request, force: value.force || undefined }, body)).bytes;
      }
      case 'delete':
        return (await pipeline.delete(this.toRequest(caller, 'delete', target), deleteOptions(value.options))).bytes;
      case 'deleteCollection': {
        const request = this.toRequest(caller, 'deletecollection', target);
        const query = { ...emptyQuery, labelSelector: value.labelSelector, fieldSelector: value.fieldSelector };
        const list = await pipeline.deleteCollection(request, query, deleteOptions(value.options));
        const view = { as: 'object' as const, includeObject: '' as const, nowMs: 0 };
        return Buffer.concat(listParts(request.definition, [], list, view));
      }
    }
  }

  private async list(call: grpc.ServerWritableStream<objects.ListRequest, objects.ListChunk>): Promise<void> {
    const {
      labelSelector,
      fieldSelector,
      limit,
      continue: token,
      resourceVersion,
      resourceVersionMatch,
      target,
    } = call.request;
    const deadline = call.getDeadline();
    const timeoutMs = deadline === Infinity ? defaultDeadlineMs : Number(deadline) - Date.now();
    const request = this.toRequest({ call, timeoutMs }, 'list', target);
    const query = { labelSelector, fieldSelector, limit, continue: token, resourceVersion, resourceVersionMatch };
    const list = await this.deps.pipeline.list(request, query);
    let items: Buffer[] = [];
    let size = 0;
    const send = async (last: boolean): Promise<void> => {
      const chunk: objects.ListChunk = {
        items,
        resourceVersion: last ? String(list.revision) : '',
        continue: last ? list.continue : '',
        remainingItemCount: last ? BigInt(list.remaining ?? 0) : 0n,
      };
      items = [];
      size = 0;
      if (!call.write(chunk))
        await new Promise<void>(resolve => {
          call.once('drain', resolve);
          call.once('cancelled', resolve);
        });
    };
    for (const entry of list.entries) {
      if (call.cancelled) return;
      const bytes = presentBytes(request.definition, entry.bytes);
      if (size > 0 && size + bytes.length > chunkBytes) await send(false);
      items.push(bytes);
      size += bytes.length;
    }
    await send(true);
    call.end();
  }

  private toRequest(
    { call, timeoutMs }: Caller,
    verb: Verb,
    target: objects.ResourceName | undefined,
    options?: objects.WriteOptions,
  ): ObjectRequest {
    if (!target) throw badRequest('the request names no target');
    const { group, version, resource, namespace, name, subresource } = target;
    const definition = this.deps.scheme.byResource(group, version, resource);
    if (!definition) throw pageNotFound();
    if (definition.type.namespaced && namespace === '' && verb !== 'list')
      throw badRequest('an empty namespace may not be set when a resource name is provided');
    const user = this.peers.userOf(call);
    return {
      user,
      verb,
      definition,
      namespace: definition.type.namespaced ? namespace : '',
      // A create names its object in the body; the target's name counts for subresources.
      name: verb === 'create' && subresource === '' ? '' : name,
      subresource,
      dryRun: options?.dryRun ?? false,
      fieldManager: options?.fieldManager ?? '',
      userAgent: programOf(user),
      fieldValidation: (options?.fieldValidation || undefined) as FieldValidation | undefined,
      warnings: [],
      signal: this.deadlines.after(timeoutMs),
    };
  }

  private toStatusError(error: unknown): StatusError {
    if (error instanceof StatusError) return error;
    if (error instanceof DOMException && error.name === 'TimeoutError')
      return new StatusError('Timeout', 'the deadline has passed', { cause: error });
    this.deps.logger.error({ err: error }, 'gRPC call failed');
    const message = `Internal error occurred: ${(error as Error).message}`;
    return new StatusError('InternalError', message, { cause: error });
  }

  private toServiceError(error: unknown): Partial<grpc.ServiceError> {
    const known = this.toStatusError(error);
    const metadata = new grpc.Metadata();
    metadata.set('naru-status-bin', Buffer.from(JSON.stringify(known.toStatus())));
    return { code: reasons[known.reason].grpc, details: known.message, metadata };
  }
}

/** "system:node:NAME" is the kubelet, "system:kube-scheduler" is kube-scheduler. */
function programOf({ username }: UserInfo): string {
  return username.startsWith('system:node:') ? 'kubelet' : username.slice(username.lastIndexOf(':') + 1);
}

const emptyQuery = {
  labelSelector: '',
  fieldSelector: '',
  limit: 0,
  continue: '',
  resourceVersion: '',
  resourceVersionMatch: '',
};

function json(bytes: Uint8Array): Body {
  return { bytes, mediaType: '' };
}

function deleteOptions(bytes: Uint8Array): DeleteOptions {
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as DeleteOptions;
  } catch (cause) {
    throw badRequest('the delete options are not JSON', cause);
  }
}
