import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { convertReview } from './conversion';
import { Flunders, FlunderError, type Flunder, type FlunderEvent } from './flunders';
import { askServer } from './in-cluster';

const group = 'wardle.example.com';
const version = 'v1alpha1';
const groupVersion = `${group}/${version}`;
const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'update', 'watch'];
const groupDocument = {
  kind: 'APIGroup',
  apiVersion: 'v1',
  name: group,
  versions: [{ groupVersion, version }],
  preferredVersion: { groupVersion, version },
};
const documents: Record<string, object> = {
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [groupDocument] },
  [`/apis/${group}`]: groupDocument,
  [`/apis/${groupVersion}`]: {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: [{ name: 'flunders', singularName: 'flunder', namespaced: true, kind: 'Flunder', verbs }],
  },
};
const flundersPath = new RegExp(`^/apis/${groupVersion}(?:/namespaces/([^/]+))?/flunders(?:/([^/]+))?$`);

/** Whom the API server says to be, and how that is proved. */
interface Trust {
  'requestheader-client-ca-file': string;
  'requestheader-allowed-names': string;
}

/**
 * What upstream's sample API server is: an extension server of flunders, which knows its callers by the front proxy's
 * certificate and asks the API server what they may. At /crdconvert it is a conversion webhook too.
 */
export async function serveExtension(port: number): Promise<void> {
  const where = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
  const { data } = await askServer<{ data: Trust }>('GET', where);
  const flunders = new Flunders();
  const proxies = JSON.parse(data['requestheader-allowed-names']) as string[];
  const [cert, key] = ['/certs/tls.crt', '/certs/tls.key'].map(file => readFileSync(file));
  const options = { cert, key, ca: data['requestheader-client-ca-file'], requestCert: true, rejectUnauthorized: false };
  const server = createServer(options, (request, response) => {
    const url = new URL(request.url ?? '/', 'https://server');
    const isProxy = (): boolean => {
      const socket = request.socket as TLSSocket;
      return socket.authorized && proxies.includes(String(socket.getPeerCertificate().subject.CN));
    };
    const answer = async (): Promise<void> => {
      if (url.pathname === '/readyz') return void response.end('ok');
      if (url.pathname === '/crdconvert') return send(response, 200, convertReview((await bodyOf(request)) as never));
      if (!isProxy()) throw new FlunderError(401, 'Unauthorized', 'Unauthorized');
      const document = documents[url.pathname];
      if (document) return send(response, 200, document);
      await serveFlunders(flunders, request, url, response);
    };
    answer().catch((error: unknown) => {
      const { code = 500, reason = 'InternalError', message } = error as FlunderError;
      send(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message });
    });
  });
  server.listen(port);
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text === '' ? undefined : JSON.parse(text);
}

async function serveFlunders(
  flunders: Flunders,
  request: IncomingMessage,
  url: URL,
  response: ServerResponse,
): Promise<void> {
  const [, namespace = '', name = ''] = flundersPath.exec(url.pathname) ?? [];
  if (!flundersPath.test(url.pathname)) throw new FlunderError(404, 'NotFound', 'the server could not find it');
  const isWatch = url.searchParams.get('watch') !== null;
  const verb = verbOf(request.method ?? '', name, isWatch);
  await authorize(request, verb, namespace, name);
  const labels = url.searchParams.get('labelSelector')?.split(',') ?? [];
  const selects = ({ metadata }: Flunder): boolean =>
    labels.every(pair => {
      const [label = '', value] = pair.split('=');
      return metadata.labels?.[label] === value;
    });
  const chosen = (): Flunder[] => flunders.list(namespace).filter(selects);
  if (verb === 'watch') return follow(flunders, response, ({ object }) => selects(object));
  const listed = (items: Flunder[]): object => ({
    kind: 'FlunderList',
    apiVersion: groupVersion,
    metadata: { resourceVersion: flunders.resourceVersion },
    items,
  });
  const body = (await bodyOf(request)) as Flunder;
  const answers: Record<string, () => object> = {
    list: () => listed(chosen()),
    get: () => flunders.get(namespace, name),
    create: () => flunders.create(namespace, body),
    update: () => flunders.replace(namespace, name, body),
    delete: () => flunders.remove(namespace, name),
    deletecollection: () => listed(chosen().map(({ metadata }) => flunders.remove(metadata.namespace, metadata.name))),
  };
  send(response, verb === 'create' ? 201 : 200, answers[verb]!());
}

function verbOf(method: string, name: string, isWatch: boolean): string {
  const reads = isWatch ? 'watch' : name === '' ? 'list' : 'get';
  const deletes = name === '' ? 'deletecollection' : 'delete';
  const verb = { GET: reads, POST: 'create', PUT: 'update', DELETE: deletes }[method];
  if (!verb) throw new FlunderError(405, 'MethodNotAllowed', `${method} is not supported`);
  return verb;
}

/** The API server decides, as for all extension servers that delegate to it. */
async function authorize({ headers }: IncomingMessage, verb: string, namespace: string, name: string): Promise<void> {
  const groups = String(headers['x-remote-group'] ?? '').split(', ');
  const resourceAttributes = { group, version, resource: 'flunders', verb, namespace, name };
  const { status } = await askServer<{ status: { allowed: boolean } }>(
    'POST',
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    { spec: { user: headers['x-remote-user'], groups, resourceAttributes } },
  );
  if (!status.allowed)
    throw new FlunderError(403, 'Forbidden', `${String(headers['x-remote-user'])} may not ${verb} flunders`);
}

function follow(flunders: Flunders, response: ServerResponse, accepts: (event: FlunderEvent) => boolean): void {
  const tell = (event: FlunderEvent): void => void (accepts(event) && response.write(`${JSON.stringify(event)}\n`));
  response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
  flunders.on('event', tell);
  response.on('close', () => flunders.off('event', tell));
}
