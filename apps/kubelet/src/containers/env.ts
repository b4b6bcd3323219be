import type { ConfigMap, Container, Pod, Secret } from '@naru/api';
import { ContainerConfigError } from './config-error';
import { findInEnvFile } from './env-file';
import { expand } from './expand';
import { readBelow } from '../volumes/open-below';
import { readFieldPath, readResourceField, type PodFacts } from './field-ref';

/** Where a pod's configuration objects come from; undefined when an object does not exist. */
export interface ConfigSource {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
}

export interface EnvInput {
  pod: Pod;
  container: Container;
  facts: PodFacts;
  /** Link variables; what the container says wins over them. */
  serviceEnv: Record<string, string>;
  objects: ConfigSource;
  /** Volume name → where it is on this node. */
  volumes: ReadonlyMap<string, string>;
}

/** What a process can take as a name of a variable; upstream skips others with an event. */
const envNamePattern = /^[^=\0]+$/;

function decodeSecret(value: string): string {
  return Buffer.from(value, 'base64').toString('utf8');
}

/** envFrom, in order; later sources win. */
async function fromSources(input: EnvInput): Promise<Map<string, string>> {
  const { container, pod, objects } = input;
  const namespace = pod.metadata?.namespace ?? '';
  const env = new Map<string, string>();
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const ref = configMapRef ?? secretRef;
    if (!ref) continue;
    const name = ref.name ?? '';
    const found = configMapRef ? await objects.configMap(namespace, name) : await objects.secret(namespace, name);
    if (!found) {
      if (ref.optional) continue;
      throw new ContainerConfigError(`${configMapRef ? 'configmap' : 'secret'} "${name}" not found`);
    }
    for (const [key, value] of Object.entries(found.data ?? {})) {
      const variable = prefix + key;
      if (envNamePattern.test(variable)) env.set(variable, configMapRef ? value : decodeSecret(value));
    }
  }
  return env;
}

type EnvSource = NonNullable<NonNullable<Container['env']>[number]['valueFrom']>;

const maxEnvFileBytes = 1 << 20;

/** From a file that an earlier container has left in a volume. As in upstream, an empty value counts as none. */
async function fromFile(ref: NonNullable<EnvSource['fileKeyRef']>, { volumes }: EnvInput): Promise<string | undefined> {
  const volume = volumes.get(ref.volumeName);
  if (volume === undefined)
    throw new ContainerConfigError(`cannot find the volume "${ref.volumeName}" referenced by FileKeyRef`);
  let value: string | undefined;
  try {
    value = findInEnvFile(await readBelow(volume, ref.path, maxEnvFileBytes), ref.key);
  } catch (cause) {
    throw new ContainerConfigError(`couldn't parse env file: ${(cause as Error).message}`, { cause });
  }
  if (!value && !ref.optional)
    throw new ContainerConfigError(`environment variable key "${ref.key}" not found in file "${ref.path}"`);
  return value || undefined;
}

/** The value that `valueFrom` points to; undefined when an optional one is missing. */
async function fromReference(source: EnvSource, input: EnvInput): Promise<string | undefined> {
  const { pod, container, facts, objects } = input;
  const namespace = pod.metadata?.namespace ?? '';
  if (source.fieldRef) return readFieldPath(source.fieldRef.fieldPath, pod, facts);
  if (source.resourceFieldRef) {
    const wanted = source.resourceFieldRef.containerName;
    const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    const of = wanted ? all.find(({ name }) => name === wanted) : container;
    if (!of) throw new ContainerConfigError(`container ${wanted ?? ''} not found`);
    return readResourceField(source.resourceFieldRef, pod, of, facts);
  }
  if (source.fileKeyRef) return fromFile(source.fileKeyRef, input);
  const ref = source.configMapKeyRef ?? source.secretKeyRef;
  if (!ref) return undefined;
  const isSecret = source.secretKeyRef !== undefined;
  const name = ref.name ?? '';
  const found = isSecret ? await objects.secret(namespace, name) : await objects.configMap(namespace, name);
  if (!found) {
    if (ref.optional) return undefined;
    throw new ContainerConfigError(`${isSecret ? 'secret' : 'configmap'} "${name}" not found`);
  }
  const value = found.data?.[ref.key];
  if (value === undefined) {
    if (ref.optional) return undefined;
    const kind = isSecret ? 'Secret' : 'ConfigMap';
    throw new ContainerConfigError(`couldn't find key ${ref.key} in ${kind} ${namespace}/${name}`);
  }
  return isSecret ? decodeSecret(value) : value;
}

/** The environment of a container. Throws ContainerConfigError when something it refers to is not there. */
export async function containerEnv(input: EnvInput): Promise<Map<string, string>> {
  const env = await fromSources(input);
  // References may name earlier variables of this container, of envFrom and of services, in this order.
  const lookUp = (name: string): string | undefined => env.get(name) ?? input.serviceEnv[name];
  for (const { name, value, valueFrom } of input.container.env ?? []) {
    const result = valueFrom ? await fromReference(valueFrom, input) : expand(value ?? '', lookUp);
    if (result !== undefined) env.set(name, result);
  }
  for (const [name, value] of Object.entries(input.serviceEnv)) {
    if (!env.has(name)) env.set(name, value);
  }
  return env;
}
