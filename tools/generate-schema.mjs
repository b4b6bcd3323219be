// Writes libs/api/src/generated/: the structure and the documentation of every GA Kubernetes kind, as compact tables.
// Source: the models of @kubernetes/client-node, which were generated from upstream's OpenAPI document: their JS names
// each field's type, their d.ts says which are required and carries the documentation.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';

const require = createRequire(import.meta.url);
const clientNode = join(dirname(require.resolve('@kubernetes/client-node/package.json')), 'dist', 'gen');
const output = join(dirname(fileURLToPath(import.meta.url)), '..', 'libs', 'api', 'src', 'generated');

/** Upstream's API groups in an order in which a shared type is met first in the group that owns it. */
const groups = [
  ['', 'v1', 'CoreV1'],
  ['authentication.k8s.io', 'v1', 'AuthenticationV1'],
  ['authorization.k8s.io', 'v1', 'AuthorizationV1'],
  ['apps', 'v1', 'AppsV1'],
  ['batch', 'v1', 'BatchV1'],
  ['autoscaling', 'v1', 'AutoscalingV1'],
  ['autoscaling', 'v2', 'AutoscalingV2'],
  ['policy', 'v1', 'PolicyV1'],
  ['discovery.k8s.io', 'v1', 'DiscoveryV1'],
  ['events.k8s.io', 'v1', 'EventsV1'],
  ['coordination.k8s.io', 'v1', 'CoordinationV1'],
  ['certificates.k8s.io', 'v1', 'CertificatesV1'],
  ['networking.k8s.io', 'v1', 'NetworkingV1'],
  ['node.k8s.io', 'v1', 'NodeV1'],
  ['rbac.authorization.k8s.io', 'v1', 'RbacAuthorizationV1'],
  ['resource.k8s.io', 'v1', 'ResourceV1'],
  ['scheduling.k8s.io', 'v1', 'SchedulingV1'],
  ['storage.k8s.io', 'v1', 'StorageV1'],
  ['flowcontrol.apiserver.k8s.io', 'v1', 'FlowcontrolApiserverV1'],
  ['admissionregistration.k8s.io', 'v1', 'AdmissionregistrationV1'],
  ['apiextensions.k8s.io', 'v1', 'ApiextensionsV1'],
  ['apiregistration.k8s.io', 'v1', 'ApiregistrationV1'],
];
const packages = {
  'apiextensions.k8s.io': 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions',
  'apiregistration.k8s.io': 'io.k8s.kube-aggregator.pkg.apis.apiregistration',
};
const metaPackage = 'io.k8s.apimachinery.pkg.apis.meta.v1';
/** Types of the meta group, whichever kind reaches them first. */
const metaTypes = new Set(
  `APIGroup APIGroupList APIResource APIResourceList APIVersions Condition DeleteOptions FieldSelectorRequirement
  GroupVersionForDiscovery LabelSelector LabelSelectorRequirement ListMeta ManagedFieldsEntry ObjectMeta OwnerReference
  Preconditions ServerAddressByClientCIDR Status StatusCause StatusDetails WatchEvent`.split(/\s+/),
);
/** Types of the core group that only other groups use. */
const coreTypes = new Set(['TopologySelectorTerm', 'TopologySelectorLabelRequirement']);
/** Bodies of subresources, which show up in other groups' paths only. */
const bodies = [
  ['autoscaling', 'V1Scale'],
  ['policy', 'V1Eviction'],
  ['authentication.k8s.io', 'AuthenticationV1TokenRequest'],
];
/** Typed as plain strings by the models: which fields hold quantities. Source: the Go types of k8s.io/api. */
const quantities = new Set(
  `ResourceRequirements.limits ResourceRequirements.requests VolumeResourceRequirements.limits
  VolumeResourceRequirements.requests PodSpec.overhead EmptyDirVolumeSource.sizeLimit ResourceFieldSelector.divisor
  PersistentVolumeSpec.capacity PersistentVolumeClaimStatus.capacity PersistentVolumeClaimStatus.allocatedResources
  ContainerStatus.allocatedResources PodStatus.allocatedResources NodeStatus.capacity NodeStatus.allocatable
  LimitRangeItem.max LimitRangeItem.min LimitRangeItem.default LimitRangeItem.defaultRequest
  LimitRangeItem.maxLimitRequestRatio ResourceQuotaSpec.hard ResourceQuotaStatus.hard ResourceQuotaStatus.used
  Overhead.podFixed HPAScalingRules.tolerance MetricTarget.value MetricTarget.averageValue MetricValueStatus.value
  MetricValueStatus.averageValue CSIStorageCapacity.capacity CSIStorageCapacity.maximumVolumeSize
  DeviceCapacity.value CapacityRequestPolicy.default CapacityRequestPolicyRange.min CapacityRequestPolicyRange.max
  CapacityRequestPolicyRange.step CapacityRequestPolicy.validValues CapacityRequirements.requests
  DeviceRequestAllocationResult.consumedCapacity Counter.value`.split(/\s+/),
);

const scalars = {
  string: 's',
  boolean: 'b',
  Date: 't',
  any: '*',
  object: '*',
  IntOrString: 'x',
};
const numbers = { int32: 'i', int64: 'l', double: 'd', float: 'd', '': 'd' };
const texts = { byte: 'y', 'date-time': 't', 'date-time-micro': 'u', 'int-or-string': 'x' };

/** "CoreV1Event" and "V2MetricSpec" → "Event", "MetricSpec". */
function bareName(model) {
  return model.replace(/^[A-Z][a-z]+(?=V\d)/, '').replace(/^V\d+/, '');
}

function unescapeDoc(text) {
  return text.replaceAll('\\"', '"').replaceAll("\\'", "'").replaceAll('\\\\', '\\').replaceAll('*_/', '*/');
}

const models = new Map();
function load(model) {
  const known = models.get(model);
  if (known) return known;
  const js = readFileSync(join(clientNode, 'models', `${model}.js`), 'utf8');
  const declaration = readFileSync(join(clientNode, 'models', `${model}.d.ts`), 'utf8');
  const fields = JSON.parse(/attributeTypeMap = (\[[\s\S]*?\n\]|\[\]);/.exec(js)[1]);
  const body = declaration.slice(declaration.indexOf('export declare class'));
  const doc = /\/\*\*\n\* ([\s\S]*?)\n\*\/\nexport declare class/.exec(declaration)?.[1] ?? '';
  const optional = new Map();
  const docs = new Map();
  for (const [, comment, name, mark] of body.matchAll(
    /(?: {4}\/\*\*\n {4}\* ([^\n]*)\n {4}\*\/\n)? {4}'([^']+)'(\??): /g,
  )) {
    optional.set(name, mark === '?');
    docs.set(name, unescapeDoc(comment ?? ''));
  }
  const loaded = {
    model,
    doc: unescapeDoc(doc),
    fields: fields.map(f => ({
      name: f.baseName,
      type: f.type,
      format: f.format,
      required: optional.get(f.name) === false,
      doc: docs.get(f.name) ?? '',
    })),
  };
  models.set(model, loaded);
  return loaded;
}

const types = [];
const indexOf = new Map();

function add(model, packageName) {
  const known = indexOf.get(model);
  if (known !== undefined) return known;
  const name = bareName(model);
  const home = metaTypes.has(name) ? metaPackage : coreTypes.has(name) ? 'io.k8s.api.core.v1' : packageName;
  const index = types.length;
  indexOf.set(model, index);
  const { doc, fields } = load(model);
  const type = { name: `${home}.${name}`, doc, fields: [], docs: [] };
  types.push(type);
  for (const field of fields) {
    const code = encode(field.type, field.format, packageName, quantities.has(`${name}.${field.name}`));
    type.fields.push(`${field.name}:${code}${field.required ? '!' : ''}`);
    type.docs.push(field.doc);
  }
  return index;
}

function encode(type, format, packageName, quantity) {
  const array = /^Array<(.*)>$/.exec(type);
  if (array) return `[${encode(array[1], format, packageName, quantity)}`;
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (map) return `{${encode(map[1], format, packageName, quantity)}`;
  if (quantity) return 'q';
  if (type === 'number') return numbers[format] ?? fail(`number format ${format}`);
  if (texts[format]) return texts[format];
  if (scalars[type]) return scalars[type];
  if (type === 'V1MicroTime') return 'u';
  return `#${add(type, packageName)}`;
}

function fail(what) {
  throw new Error(`Cannot generate the schema: unknown ${what}`);
}

const kinds = [];
const available = new Set(readdirSync(join(clientNode, 'models')).map(file => file.replace(/\..*$/, '')));
for (const [group, version, api] of groups) {
  const source = readFileSync(join(clientNode, 'apis', `${api}Api.js`), 'utf8');
  const named = [...source.matchAll(/serialize\([^"]*"([A-Za-z0-9]+)"/g)].map(m => m[1]);
  const packageName = `${packages[group] ?? `io.k8s.api.${group.split('.')[0] || 'core'}`}.${version}`;
  for (const model of [...new Set(named)].sort()) {
    const isKind =
      available.has(model) && ['apiVersion', 'kind'].every(wanted => load(model).fields.some(f => f.name === wanted));
    if (!isKind || metaTypes.has(bareName(model)) || bodies.some(body => body[1] === model)) continue;
    kinds.push([group, version, bareName(model), add(model, packageName)]);
  }
}
for (const [group, model] of bodies) {
  kinds.push([group, 'v1', bareName(model), add(model, `io.k8s.api.${group.split('.')[0]}.v1`)]);
}
for (const name of ['Status', 'DeleteOptions', 'ListMeta']) {
  kinds.push(['meta', 'v1', name, add(`V1${name}`, metaPackage)]);
}

const structure = { types: types.map(t => [t.name, ...t.fields]), kinds };
const docs = types.map(t => [t.doc, ...t.docs]);
const write = (file, name, comment, text) =>
  writeFileSync(
    join(output, file),
    `// Written by tools/generate-schema.mjs: do not edit.\n/** ${comment} */\nexport const ${name} =\n  ${JSON.stringify(text)};\n`,
  );
mkdirSync(output, { recursive: true });
write(
  'structure.ts',
  'structure',
  'JSON: types as [name, "field:code"...], kinds as [group, version, kind, type index]; codes in schema/types.ts.',
  JSON.stringify(structure),
);
write(
  'docs.ts',
  'compressedDocs',
  'base64 of raw deflate of JSON: per type [documentation, of each field...], in the order of the structure.',
  deflateRawSync(JSON.stringify(docs), { level: 9 }).toString('base64'),
);
