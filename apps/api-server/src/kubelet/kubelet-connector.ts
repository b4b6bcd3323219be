import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { hostPort, refuseUpgrade, StatusError } from '@naru/foundation';
import { parsePodLogOptions, pods, nodes, type Container, type Node, type Pod, type Scheme } from '@naru/api';
import { proxyUpgrade, sendOverWebSocket } from '@naru/streaming';
import type { Admission } from '../admission/plugin';
import type { Authorizer } from '../auth/authorizer';
import { kubeletPlace, type Place } from '../egress/egress';
import { badRequest, methodNotAllowed, notFound, pageNotFound } from '../objects/failures';
import type { Connector, UpgradeCall } from '../rest/rest-server';
import type { ResourceCall } from '../rest/resource-handler';
import { decodeBytes } from '../storage/codec';
import type { Storage } from '../storage/storage';
import { admitConnection } from './connect-admission';

export interface KubeletConnectorDeps {
  storage: Storage;
  scheme: Scheme;
  authorizer: Authorizer;
  admission: Admission;
  /** The api-server's client certificate and the CA of the kubelets' serving certificates. */
  tls: { certificate: string; key: string; ca: string };
}

interface KubeletPath {
  node: string;
  path: string;
}

const upgraded = new Set(['exec', 'attach', 'portforward']);
const connectTimeoutMs = 10_000;
const maxErrorBytes = 64 * 1024;
const reasons: Record<number, 'Forbidden' | 'NotFound' | 'ServiceUnavailable'> = {
  403: 'Forbidden',
  404: 'NotFound',
  503: 'ServiceUnavailable',
};
const forwardedParameters = [
  'follow',
  'previous',
  'timestamps',
  'sinceSeconds',
  'sinceTime',
  'tailLines',
  'limitBytes',
  'stream',
];

/** What is answered by a pod's kubelet: logs, exec, attach and port-forward. */
export class KubeletConnector implements Connector {
  private readonly agent: https.Agent;

  constructor(private readonly deps: KubeletConnectorDeps) {
    const { certificate, key, ca } = deps.tls;
    this.agent = new https.Agent({ keepAlive: true, cert: certificate, key, ca, maxSockets: 256 });
  }

  handle(call: ResourceCall): Promise<void> | undefined {
    const { path } = call;
    if (path.group !== '' || path.version !== 'v1') return undefined;
    if (path.resource === pods.resource && path.subresource === 'log') return this.logs(call);
    if (path.resource === pods.resource && upgraded.has(path.subresource)) return this.withoutUpgrade(call);
    return undefined;
  }

  upgrade(call: UpgradeCall): Promise<void> | undefined {
    const { path } = call;
    if (path.group !== '' || path.version !== 'v1') return undefined;
    if (path.resource !== pods.resource) return undefined;
    if (path.subresource === 'log') return this.upgradeLogs(call);
    if (!upgraded.has(path.subresource)) return undefined;
    // A WebSocket opens with GET, but what it does is a create: upstream asks for both.
    this.authorize(call, call.request.method === 'GET' ? 'get' : 'create');
    this.authorize(call, 'create');
    return admitConnection(this.deps, call).then(() => this.proxyUpgrade(call, this.streamingPath(call)));
  }

  close(): void {
    this.agent.destroy();
  }

  private async withoutUpgrade(call: ResourceCall): Promise<void> {
    this.authorize(call, 'create');
    throw badRequest('Upgrade request required');
  }

  private async logs(call: ResourceCall): Promise<void> {
    const { request, response } = call;
    if (request.method !== 'GET') throw methodNotAllowed();
    const target = this.logsPath(call);
    if (!target) {
      response.writeHead(200, { 'content-type': 'text/plain' }).end();
      return;
    }
    const incoming = await this.ask(call, target);
    response.writeHead(incoming.statusCode ?? 502, {
      'content-type': incoming.headers['content-type'] ?? 'text/plain',
    });
    response.flushHeaders?.();
    await new Promise<void>(resolve => {
      incoming.on('error', () => response.destroy());
      incoming.on('end', resolve);
      incoming.pipe(response);
      response.once('close', () => {
        incoming.destroy();
        resolve();
      });
    });
  }

  /** Logs as the messages of a WebSocket. */
  private async upgradeLogs(call: UpgradeCall): Promise<void> {
    const target = this.logsPath(call);
    await sendOverWebSocket(call, target ? await this.ask(call, target) : Readable.from([]));
  }

  /** Undefined for a pod without a node. */
  private logsPath(call: ResourceCall): KubeletPath | undefined {
    const { path, query } = call;
    this.authorize(call, 'get');
    const pod = this.pod(call);
    parsePodLogOptions(query, path.name);
    const container = chooseContainer(pod, query.get('container') ?? '');
    if (!pod.spec?.nodeName) return undefined;
    const parameters = new URLSearchParams();
    for (const name of forwardedParameters) {
      const value = query.get(name);
      if (value !== null && value !== '' && value !== 'false') parameters.set(name, value);
    }
    return {
      node: pod.spec.nodeName,
      path: `/containerLogs/${path.namespace}/${path.name}/${container}?${parameters}`,
    };
  }

  /** The kubelet's answer as it comes. Rejects with what it says against it. */
  private ask(call: Pick<ResourceCall, 'signal'>, target: KubeletPath): Promise<IncomingMessage> {
    const { signal } = call;
    const { path } = target;
    const { host, port } = this.address(target.node);
    return new Promise((resolve, reject) => {
      const outgoing = https.get({ host, port, path, agent: this.agent, signal });
      refuseUpgrade(outgoing);
      const timer = setTimeout(
        () => outgoing.destroy(new Error('the kubelet did not answer in time')),
        connectTimeoutMs,
      );
      outgoing.on('error', (cause: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        // The kubelet closed a kept connection as we began to use it: it has not seen the request.
        if (outgoing.reusedSocket && cause.code === 'ECONNRESET') return resolve(this.ask(call, target));
        reject(
          new StatusError('InternalError', `Get "https://${hostPort(host, port)}${path}": ${cause.message}`, { cause }),
        );
      });
      outgoing.on('response', incoming => {
        clearTimeout(timer);
        if (isPlainError(incoming))
          readText(incoming).then(text => reject(kubeletError(incoming.statusCode!, text)), reject);
        else resolve(incoming);
      });
    });
  }

  private async proxyUpgrade({ request, socket, head, signal }: UpgradeCall, target: KubeletPath): Promise<void> {
    const { certificate, key, ca } = this.deps.tls;
    const { host, port } = this.address(target.node);
    await proxyUpgrade(
      { request, socket, head },
      { host, port, path: target.path, tls: { cert: certificate, key, ca } },
      { signal, handshakeTimeoutMs: 30_000 },
    );
  }

  /** The kubelet's URL for exec, attach and port-forward, with upstream's parameter names. */
  private streamingPath(call: ResourceCall): KubeletPath {
    const { path, query } = call;
    const pod = this.pod(call);
    const node = pod.spec?.nodeName;
    if (!node) throw badRequest(`pod ${path.name} does not have a host assigned`);
    const place = `${path.namespace}/${path.name}`;
    if (path.subresource === 'portforward') {
      const ports = new URLSearchParams(query.getAll('ports').map((port): [string, string] => ['port', port]));
      return { node, path: `/portForward/${place}${ports.size > 0 ? `?${ports}` : ''}` };
    }
    const container = chooseContainer(pod, query.get('container') ?? '');
    const parameters = new URLSearchParams();
    for (const [name, kubeletName] of [
      ['stdin', 'input'],
      ['stdout', 'output'],
      ['stderr', 'error'],
      ['tty', 'tty'],
    ] as const) {
      const value = query.get(name);
      if (value === 'true' || value === '1') parameters.set(kubeletName, '1');
    }
    for (const word of query.getAll('command')) parameters.append('command', word);
    return { node, path: `/${path.subresource}/${place}/${container}?${parameters}` };
  }

  private pod({ path }: ResourceCall): Pod {
    const entry = this.deps.storage
      .cache(this.deps.scheme.byResource('', 'v1', 'pods')!)
      .get(path.namespace, path.name);
    if (!entry) throw notFound(pods, path.name);
    return decodeBytes<Pod>(entry.bytes);
  }

  private address(name: string): Place {
    const entry = this.deps.storage.cache(this.deps.scheme.byResource('', 'v1', 'nodes')!).get('', name);
    if (!entry) throw notFound(nodes, name);
    const place = kubeletPlace(decodeBytes<Node>(entry.bytes));
    if (!place) throw new StatusError('ServiceUnavailable', 'no preferred addresses found; known addresses: []');
    return place;
  }

  private authorize({ user, path }: ResourceCall, verb: string): void {
    const { group, version, resource, subresource, namespace, name } = path;
    if (name === '') throw pageNotFound();
    this.deps.authorizer.require({ user, verb, group, version, resource, subresource, namespace, name });
  }
}

function isPlainError({ statusCode = 502, headers }: IncomingMessage): boolean {
  const type = headers['content-type'] ?? 'text/plain';
  return statusCode >= 400 && type.startsWith('text/plain');
}

/** The beginning of a text: an error is not long. */
async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    if ((size += chunk.length) > maxErrorBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxErrorBytes).toString().trim();
}

/** A kubelet's words as a Status, so that clients print them instead of "unknown". */
export function kubeletError(code: number, text: string): StatusError {
  const reason = reasons[code] ?? (code < 500 ? 'BadRequest' : 'InternalError');
  return new StatusError(reason, text || `the kubelet answered with ${code}`);
}

/** The named container, or the only one. @throws StatusError BadRequest in upstream's words. */
function chooseContainer(pod: Pod, wanted: string): string {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const all = [...initContainers, ...containers, ...ephemeralContainers] as Container[];
  const podName = pod.metadata?.name;
  if (wanted !== '') {
    if (!all.some(({ name }) => name === wanted))
      throw badRequest(`container ${wanted} is not valid for pod ${podName}`);
    return wanted;
  }
  if (containers.length === 1) return containers[0]!.name!;
  const preferred = pod.metadata?.annotations?.['kubectl.kubernetes.io/default-container'];
  if (preferred && containers.some(({ name }) => name === preferred)) return preferred;
  const names = containers.map(({ name }) => name).join(' ');
  const initNames = initContainers.map(({ name }) => name).join(' ');
  throw badRequest(
    `a container name must be specified for pod ${podName}, choose one of: [${names}]` +
      (initNames === '' ? '' : ` or one of the init containers: [${initNames}]`),
  );
}
