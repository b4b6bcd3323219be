import type { ConfigMap, Pod, Secret, Volume } from '@naru/api';
import { readFieldPath, readResourceField } from '../containers/field-ref';
import type { FileContent, Payload } from './atomic-writer';
import { fsGroupOf, type VolumeContext } from './plugin';

export type ProjectedSource = NonNullable<NonNullable<Volume['projected']>['sources']>[number];
type KeyToPath = NonNullable<NonNullable<Volume['configMap']>['items']>[number];
type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number];

const groupRead = 0o040;

/** Group members read what the pod's fsGroup owns. */
function file(data: Buffer, mode: number, pod: Pod): FileContent {
  return { data, mode: fsGroupOf(pod) === undefined ? mode : mode | groupRead };
}

interface KeySelection {
  items?: KeyToPath[] | undefined;
  optional?: boolean | undefined;
  mode: number;
  /** For messages: `configmap "name"`. */
  what: string;
}

function selectKeys(contents: Map<string, Buffer>, selection: KeySelection, pod: Pod): Payload {
  const payload: Payload = new Map();
  if (!selection.items?.length) {
    for (const [key, data] of contents) payload.set(key, file(data, selection.mode, pod));
    return payload;
  }
  for (const { key, path, mode } of selection.items) {
    const data = contents.get(key);
    if (data === undefined) {
      if (selection.optional) continue;
      throw new Error(`references non-existent ${selection.what} key: ${key}`);
    }
    payload.set(path, file(data, mode ?? selection.mode, pod));
  }
  return payload;
}

interface ObjectSelection {
  name?: string | undefined;
  items?: KeyToPath[] | undefined;
  optional?: boolean | undefined;
}

function contentsOf(configMap: ConfigMap): Map<string, Buffer> {
  const contents = new Map<string, Buffer>();
  for (const [key, text] of Object.entries(configMap.data ?? {})) contents.set(key, Buffer.from(text));
  for (const [key, data] of Object.entries(configMap.binaryData ?? {})) contents.set(key, Buffer.from(data, 'base64'));
  return contents;
}

export async function configMapFiles(source: ObjectSelection, mode: number, context: VolumeContext): Promise<Payload> {
  const { pod, objects } = context;
  const name = source.name ?? '';
  const found = await objects.configMap(pod.metadata?.namespace ?? '', name);
  if (!found && !source.optional) throw new Error(`configmap "${name}" not found`);
  const { items, optional } = source;
  return selectKeys(found ? contentsOf(found) : new Map(), { items, optional, mode, what: 'config' }, pod);
}

export async function secretFiles(source: ObjectSelection, mode: number, context: VolumeContext): Promise<Payload> {
  const { pod, objects } = context;
  const name = source.name ?? '';
  const found: Secret | undefined = await objects.secret(pod.metadata?.namespace ?? '', name);
  if (!found && !source.optional) throw new Error(`secret "${name}" not found`);
  const contents = new Map(
    Object.entries(found?.data ?? {}).map(([key, data]) => [key, Buffer.from(data, 'base64')] as const),
  );
  const { items, optional } = source;
  return selectKeys(contents, { items, optional, mode, what: 'secret' }, pod);
}

export function downwardFiles(items: readonly DownwardItem[], mode: number, context: VolumeContext): Payload {
  const { pod, facts } = context;
  const payload: Payload = new Map();
  for (const item of items) {
    let text = '';
    if (item.fieldRef) text = readFieldPath(item.fieldRef.fieldPath, pod, facts);
    else if (item.resourceFieldRef) {
      const { containerName } = item.resourceFieldRef;
      const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
      const container = all.find(({ name }) => name === containerName);
      if (!container) throw new Error(`container ${containerName ?? ''} not found`);
      text = readResourceField(item.resourceFieldRef, pod, container, facts);
    }
    payload.set(item.path, file(Buffer.from(text), item.mode ?? mode, pod));
  }
  return payload;
}

/** The one user that all containers run as, if there is one: a token may then be that user's alone. */
function soleUser(pod: Pod): number | undefined {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const users = new Set(
    containers.map(each => each.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser),
  );
  const [only] = users;
  return users.size === 1 ? only : undefined;
}

export async function tokenFile(
  source: NonNullable<ProjectedSource['serviceAccountToken']>,
  mode: number,
  context: VolumeContext,
): Promise<Payload> {
  const { pod } = context;
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  const token = await context.serviceAccountToken({
    namespace,
    serviceAccount: pod.spec?.serviceAccountName || 'default',
    audiences: source.audience ? [source.audience] : [],
    expirationSeconds: source.expirationSeconds ?? 3600,
    pod: { name, uid },
  });
  const data = Buffer.from(token);
  if (fsGroupOf(pod) !== undefined) return new Map([[source.path, { data, mode: 0o640 }]]);
  const user = soleUser(pod);
  const content = user === undefined ? { data, mode } : { data, mode: 0o600, uid: user };
  return new Map([[source.path, content]]);
}
