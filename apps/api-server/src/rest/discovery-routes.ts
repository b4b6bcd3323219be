import { createHash } from 'node:crypto';
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  openApiV2,
  openApiV2Protobuf,
  openApiV3,
  openApiV3Index,
  type OpenApiDocument,
  type Scheme,
} from '@naru/api';
import { pageNotFound } from '../objects/failures';
import type { HttpRequest, HttpResponse } from './http';
import { sendJson } from './respond';

/** What other servers serve under this one's address. */
export interface RemoteVersions {
  generation: number;
  list(): readonly {
    group: string;
    version: string;
    isAvailable: boolean;
    resources: unknown[];
    openApi: string | undefined;
  }[];
}

interface GroupOfDiscovery {
  metadata: { name?: string };
  versions: { version: string; resources: unknown[]; freshness: 'Current' | 'Stale' }[];
}

export interface DiscoveryDeps {
  scheme: Scheme;
  remotes: RemoteVersions;
  /** HOST:PORT, as /api tells it. */
  serverAddress: string;
}

/** The second is the name under which clients up to 1.3x ask for the first. */
const openApiV2ProtobufType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const openApiV2ProtobufOldType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
const yearMs = 365 * 86_400_000;
const aggregatedType = 'as=APIGroupDiscoveryList';
const aggregatedContentType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Serves what clients learn the API from: groups, resources and schemas. */
export class DiscoveryRoutes {
  private readonly cache = new Map<string, Buffer>();
  private generation = '';

  constructor(private readonly deps: DiscoveryDeps) {}

  /** False when the path is none of these. */
  async handle(path: string, query: URLSearchParams, request: HttpRequest, response: HttpResponse): Promise<boolean> {
    const parts = path.split('/').filter(part => part !== '');
    if (parts[0] === 'openapi') return this.openApi(parts.slice(1), query, request, response);
    if (parts[0] !== 'api' && parts[0] !== 'apis') return false;
    const { scheme, serverAddress } = this.deps;
    const accept = String(request.headers.accept ?? '');
    if (parts.length === 1 && accept.includes(aggregatedType) && accept.includes('v=v2;')) {
      const door = parts[0];
      await this.sendAggregated(request, response, door);
      return true;
    }
    const [door, first, second] = parts;
    let answer: unknown;
    const names = this.remoteNames();
    if (parts.length === 1) answer = door === 'api' ? apiVersions(scheme, serverAddress) : apiGroupList(scheme, names);
    else if (parts.length === 2)
      answer = door === 'api' ? apiResourceList(scheme, '', first!) : apiGroup(scheme, first!, names);
    else if (parts.length === 3 && door === 'apis') answer = apiResourceList(scheme, first!, second!);
    else return false;
    if (answer === undefined) throw pageNotFound();
    await sendJson(request, response, 200, Buffer.from(JSON.stringify(answer)));
    return true;
  }

  private async sendAggregated(request: HttpRequest, response: HttpResponse, door: 'api' | 'apis'): Promise<void> {
    const { scheme, remotes } = this.deps;
    const generation = `${scheme.generation}/${remotes.generation}`;
    if (this.generation !== generation) {
      this.cache.clear();
      this.generation = generation;
    }
    let bytes = this.cache.get(door);
    if (!bytes) {
      const answer = aggregatedDiscovery(scheme, door) as { items: GroupOfDiscovery[] };
      if (door === 'apis') this.addRemotes(answer.items);
      this.cache.set(door, (bytes = Buffer.from(JSON.stringify(answer))));
    }
    const etag = `"${createHash('sha512').update(bytes).digest('hex').toUpperCase()}"`;
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, { etag }).end();
      return;
    }
    response.writeHead(200, {
      'content-type': aggregatedContentType,
      'content-length': bytes.length,
      etag,
      vary: 'Accept',
    });
    response.end(bytes);
  }

  private remoteNames(): { group: string; version: string }[] {
    return this.deps.remotes.list().map(({ group, version }) => ({ group, version }));
  }

  /** One that cannot be asked is shown as it was, and as stale: clients go on with the others. */
  private addRemotes(items: GroupOfDiscovery[]): void {
    for (const { group, version, resources, isAvailable } of this.deps.remotes.list()) {
      let item = items.find(({ metadata }) => metadata.name === group);
      if (!item) items.push((item = { metadata: { name: group }, versions: [] }));
      const freshness = isAvailable ? 'Current' : 'Stale';
      item.versions = [...item.versions.filter(v => v.version !== version), { version, resources, freshness }];
    }
  }

  /** The index of schemas with those of other servers. */
  private openApiIndex(): OpenApiDocument {
    const own = openApiV3Index(this.deps.scheme);
    const remotes = this.deps.remotes.list().filter(({ openApi, isAvailable }) => openApi && isAvailable);
    if (remotes.length === 0) return own;
    const index = JSON.parse(Buffer.from(own.bytes).toString()) as { paths: Record<string, unknown> };
    for (const { group, version, openApi } of remotes)
      index.paths[`apis/${group}/${version}`] = { serverRelativeURL: openApi };
    const bytes = Buffer.from(JSON.stringify(index));
    return { bytes, hash: createHash('sha512').update(bytes).digest('hex').toUpperCase() };
  }

  private async openApi(
    parts: string[],
    query: URLSearchParams,
    request: HttpRequest,
    response: HttpResponse,
  ): Promise<boolean> {
    const { scheme } = this.deps;
    const [version, ...rest] = parts;
    let document: OpenApiDocument | undefined;
    const protobuf = version === 'v2' && wantsProtobuf(request);
    if (version === 'v2' && rest.length === 0) document = protobuf ? openApiV2Protobuf(scheme) : openApiV2(scheme);
    else if (version === 'v3') document = rest.length === 0 ? this.openApiIndex() : openApiV3(scheme, rest.join('/'));
    if (!document) throw pageNotFound();
    const asked = query.get('hash');
    if (asked !== null && asked !== document.hash) {
      response.writeHead(301, { location: `/${['openapi', ...parts].join('/')}?hash=${document.hash}` }).end();
      return true;
    }
    // Under its hash a document never changes: clients need not ask again.
    if (asked !== null) {
      response.setHeader('cache-control', 'public, immutable');
      response.setHeader('expires', new Date(Date.now() + yearMs).toUTCString());
    }
    const etag = `"${document.hash}"`;
    response.setHeader('etag', etag);
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return true;
    }
    const { bytes } = document;
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (protobuf) sendBytes(response, openApiV2ProtobufType, body);
    else await sendJson(request, response, 200, body);
    return true;
  }
}

function wantsProtobuf({ headers: { accept } }: HttpRequest): boolean {
  const first = String(accept ?? '').split(/[,;]/, 1)[0];
  return first === openApiV2ProtobufType || first === openApiV2ProtobufOldType;
}

function sendBytes(response: HttpResponse, type: string, body: Buffer): void {
  response.writeHead(200, { 'content-type': type, 'content-length': body.length, vary: 'Accept' });
  response.end(body);
}
