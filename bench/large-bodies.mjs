// What a body near the limit of 3 MB costs a Kubernetes API server, and how long others wait meanwhile: one JSON line a body.
//   node bench/api.mjs --load "$PWD/bench/large-bodies.mjs" [-- --only NAME,...]
import https from 'node:https';
import { parseArgs } from 'node:util';
import { cpuSeconds, residentMB } from './dev-server.mjs';

const { values: given } = parseArgs({
  options: {
    server: { type: 'string', default: 'https://127.0.0.1:6443' },
    token: { type: 'string', default: 'dev-token' },
    pid: { type: 'string' },
    only: { type: 'string' },
  },
});
const { hostname, port } = new URL(given.server);
const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false });

function call(method, path, body, type) {
  const headers = { authorization: `Bearer ${given.token}` };
  if (body) Object.assign(headers, { 'content-type': type, 'content-length': body.length });
  return new Promise((resolve, reject) => {
    const request = https.request({ hostname, port, method, path, agent, headers }, response => {
      response.on('error', reject);
      response.resume().on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    request.end(body);
  });
}

const maxBytes = 3 * 1024 * 1024 - 1000;

/** `head`, as many items as there is room for, `tail`. */
function text(head, item, tail, limit = maxBytes) {
  const items = [];
  for (let i = 0, size = head.length + tail.length; size < limit; i++) {
    items.push(item(i.toString(36)));
    size += items.at(-1).length + 1;
  }
  return Buffer.from(head + items.join(',') + tail);
}

const varint = n => (n > 127 ? [(n & 127) | 128, ...varint(Math.floor(n / 128))] : [n]);
const field = (number, bytes) => Buffer.concat([Buffer.from([number * 8 + 2, ...varint(bytes.length)]), bytes]);
/** A protobuf object with `item(i)` over and over within `wrap`. */
function protobuf(kind, item, wrap = content => content) {
  const items = [];
  for (let i = 0, size = 0; size < maxBytes; i++) {
    items.push(item(i.toString(36)));
    size += items.at(-1).length;
  }
  const type = Buffer.concat([field(1, Buffer.from('v1')), field(2, Buffer.from(kind))]);
  const raw = Buffer.concat([field(1, field(1, Buffer.from('protobuf'))), wrap(Buffer.concat(items))]);
  return Buffer.concat([Buffer.from('k8s\0'), field(1, type), field(2, raw)]);
}

const base = '/api/v1/namespaces/default';
const maps = `${base}/configmaps`;
const opening = name => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}"},"data":{`;
const key = i => `"k${i}":""`;
const container = bytes => field(2, field(2, Buffer.concat([field(1, Buffer.from('a')), bytes])));
const finalizers = JSON.stringify(Array(250_000).fill('a/b'));
const add = '{"op":"add","path":"/metadata/finalizers","value":';
const json = 'application/json';
const applyType = 'application/apply-patch+yaml';
const bodies = {
  'create, many keys': () => ['POST', maps, text(opening('many'), key, '}}'), json],
  'create, many keys, protobuf': () => [
    'POST',
    maps,
    protobuf('ConfigMap', i => field(2, field(1, Buffer.from(`k${i}`)))),
    'application/vnd.kubernetes.protobuf',
  ],
  'create, a pod of many variables, protobuf': () => [
    'POST',
    `${base}/pods`,
    protobuf('Pod', i => field(7, field(1, Buffer.from(`A${i}`))), container),
    'application/vnd.kubernetes.protobuf',
  ],
  'update, many keys': () => ['PUT', `${maps}/base`, text(opening('base'), key, '}}'), json],
  'apply, many keys': () => ['PATCH', `${maps}/new?fieldManager=a`, text(opening('new'), key, '}}'), applyType],
  'JSON patch, within a long list': () => [
    'PATCH',
    `${maps}/base`,
    Buffer.from(
      `[${add}${finalizers}},${Array(9000).fill('{"op":"move","from":"/metadata/finalizers/9","path":"/metadata/finalizers/0"}').join()}]`,
    ),
    'application/json-patch+json',
  ],
};

await call('POST', maps, Buffer.from(`${opening('base')}"a":"b"}}`), json);
for (const [name, make] of Object.entries(bodies)) {
  if (given.only && !given.only.split(',').includes(name)) continue;
  const [method, path, body, type] = make();
  let longestWait = 0;
  let done = false;
  const others = (async () => {
    while (!done) {
      const begun = performance.now();
      await call('GET', '/version');
      longestWait = Math.max(longestWait, performance.now() - begun);
    }
  })();
  const cpu = given.pid ? cpuSeconds(given.pid) : 0;
  const code = await call(method, path, body, type);
  done = true;
  await others;
  const row = { body: name, bytes: body.length, code, longestWaitMs: Math.round(longestWait) };
  if (given.pid) {
    row.serverCpuSeconds = +(cpuSeconds(given.pid) - cpu).toFixed(2);
    row.residentMB = residentMB(given.pid);
  }
  console.log(JSON.stringify(row));
}
agent.destroy();
