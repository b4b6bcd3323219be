import http from 'node:http';
import https from 'node:https';
import net, { BlockList, isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { hostPort, StatusError } from '@naru/foundation';
import type { Node } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { WatchCache } from '../storage/watch-cache';

export interface EgressDeps {
  nodes: WatchCache;
  /** The api-server's client certificate and the CA of the kubelets' serving certificates. */
  tls: { certificate: string; key: string; ca: string };
}

export interface Place {
  host: string;
  port: number;
}

/** Where a node's kubelet listens, and which pod addresses are behind it. */
interface Gateway extends Place {
  pods: BlockList;
}

const defaultKubeletPort = 10_250;
const connectTimeoutMs = 10_000;
const maxIdlePerPlace = 16;
const maxRefusalBytes = 4096;

/** The address and port of a node's kubelet. */
export function kubeletPlace({ status }: Node): Place | undefined {
  // The first of a kind: a node of both families tells its main address first.
  const find = (wanted: string): string | undefined => status?.addresses?.find(({ type }) => type === wanted)?.address;
  const host = find('InternalIP') ?? find('Hostname') ?? find('ExternalIP');
  return host ? { host, port: status?.daemonEndpoints?.kubeletEndpoint?.Port ?? defaultKubeletPort } : undefined;
}

/**
 * Connections of the api-server to what runs in the cluster. This process need not be a part of the pod network: an
 * address in a node's pod range is dialled by that node's kubelet, any other one directly.
 */
export class Egress {
  /** For `http.request` to pods and Services. */
  readonly httpAgent: http.Agent;
  /** For `https.request`; what is trusted is said by each request. */
  readonly httpsAgent: https.Agent;
  private gateways: Gateway[] = [];
  private generation = -1;

  constructor(private readonly deps: EgressDeps) {
    const options = { keepAlive: true, maxFreeSockets: maxIdlePerPlace };
    this.httpAgent = new PlainAgent(this, options);
    this.httpsAgent = new TlsAgent(this, options);
  }

  close(): void {
    this.httpAgent.destroy();
    this.httpsAgent.destroy();
  }

  /** @throws StatusError ServiceUnavailable */
  connect({ host, port }: Place): Promise<Duplex> {
    const family = isIPv6(host) ? 'ipv6' : 'ipv4';
    const gateway = net.isIP(host) ? this.currentGateways().find(({ pods }) => pods.check(host, family)) : undefined;
    return gateway ? this.dialThrough(gateway, { host, port }) : dial({ host, port });
  }

  private currentGateways(): Gateway[] {
    const { nodes } = this.deps;
    if (nodes.generation === this.generation) return this.gateways;
    this.generation = nodes.generation;
    this.gateways = nodes.select({ namespace: '' }).flatMap(({ bytes }) => {
      const node = decodeBytes<Node>(bytes);
      const place = kubeletPlace(node);
      const ranges = node.spec?.podCIDRs ?? (node.spec?.podCIDR ? [node.spec.podCIDR] : []);
      return place && ranges.length > 0 ? [{ ...place, pods: blockList(ranges) }] : [];
    });
    return this.gateways;
  }

  private dialThrough(gateway: Place, { host, port }: Place): Promise<Duplex> {
    const { certificate, key, ca } = this.deps.tls;
    return new Promise((resolve, reject) => {
      const request = https.request({
        host: gateway.host,
        port: gateway.port,
        cert: certificate,
        key,
        ca,
        agent: false,
        method: 'POST',
        path: `/dial/${encodeURIComponent(host)}/${port}`,
        headers: { connection: 'Upgrade', upgrade: 'tcp', 'content-length': '0' },
      });
      const timer = setTimeout(() => request.destroy(new Error('i/o timeout')), connectTimeoutMs);
      request.once('upgrade', (_response, socket, head) => {
        clearTimeout(timer);
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      request.once('response', response => {
        clearTimeout(timer);
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          if (text.length < maxRefusalBytes) text += chunk;
        });
        response.once('close', () => reject(unreachable(messageOf(text))));
      });
      request.once('error', error => {
        clearTimeout(timer);
        reject(unreachable(`dial tcp ${hostPort(host, port)}: ${error.message}`, error));
      });
      request.end();
    });
  }
}

function messageOf(body: string): string {
  try {
    return (JSON.parse(body) as { message?: string }).message ?? body;
  } catch {
    return body;
  }
}

function unreachable(message: string, cause?: unknown): StatusError {
  return new StatusError('ServiceUnavailable', message, { cause });
}

function dial({ host, port }: Place): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true, timeout: connectTimeoutMs });
    socket.once('connect', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
    socket.once('timeout', () => socket.destroy(new Error('i/o timeout')));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ECONNREFUSED' ? 'connect: connection refused' : error.message;
      reject(unreachable(`dial tcp ${hostPort(host, port)}: ${why}`, error));
    });
  });
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', bits = ''] = range.split('/');
    list.addSubnet(network, Number(bits), isIPv6(network) ? 'ipv6' : 'ipv4');
  }
  return list;
}

type Created = (error: Error | null, socket?: Duplex) => void;

/** Node's agents take a connection that comes later by callback; their types do not say so. */
class PlainAgent extends http.Agent {
  constructor(
    private readonly egress: Egress,
    options: http.AgentOptions,
  ) {
    super(options);
  }

  override createConnection({ host, port }: http.ClientRequestArgs, created: Created): undefined {
    this.egress.connect({ host: host ?? '', port: Number(port) }).then(
      socket => created(null, socket),
      (error: Error) => created(error),
    );
  }
}

class TlsAgent extends https.Agent {
  constructor(
    private readonly egress: Egress,
    options: https.AgentOptions,
  ) {
    super(options);
  }

  override createConnection(options: https.RequestOptions, created: Created): undefined {
    const { host, port } = options;
    this.egress.connect({ host: host ?? '', port: Number(port) }).then(
      socket => created(null, tls.connect({ ...(options as tls.ConnectionOptions), socket })),
      (error: Error) => created(error),
    );
  }
}
