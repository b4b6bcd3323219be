import { StatusError } from '@naru/foundation';

/** One content of an image: github.com/opencontainers/image-spec, descriptor.md. */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { os?: string; architecture?: string; variant?: string };
  annotations?: Record<string, string>;
}

export interface Manifest {
  config: Descriptor;
  layers: Descriptor[];
}

/** The part of an image's configuration that containers use. */
export interface ImageConfig {
  architecture?: string;
  os?: string;
  created?: string;
  config?: {
    User?: string;
    Env?: string[] | null;
    Entrypoint?: string[] | null;
    Cmd?: string[] | null;
    WorkingDir?: string;
    StopSignal?: string;
    Labels?: Record<string, string> | null;
    Volumes?: Record<string, unknown> | null;
  };
  rootfs: { type: 'layers'; diff_ids: string[] };
}

export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
} as const;

/** The Accept header of a manifest request. */
export const acceptedManifests = Object.values(mediaTypes).join(', ');

const architectures: Record<string, string> = {
  x64: 'amd64',
  arm64: 'arm64',
  ia32: '386',
  arm: 'arm',
  s390x: 's390x',
  ppc64: 'ppc64le',
  riscv64: 'riscv64',
};

/** This machine's architecture in the words of the image specification. */
export const architecture = architectures[process.arch] ?? process.arch;

const maxLayers = 500;

function parseObject(text: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new StatusError('BadRequest', `cannot parse the ${what}: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StatusError('BadRequest', `the ${what} is not a JSON object`);
  }
  return value as Record<string, unknown>;
}

function descriptor(value: unknown, what: string): Descriptor {
  const candidate = value as Partial<Descriptor> | null;
  if (typeof candidate?.digest !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(candidate.digest)) {
    throw new StatusError('BadRequest', `the ${what} has no valid digest`);
  }
  if (typeof candidate.size !== 'number' || !Number.isSafeInteger(candidate.size) || candidate.size < 0) {
    throw new StatusError('BadRequest', `the ${what} has no valid size`);
  }
  return { ...candidate, mediaType: candidate.mediaType ?? '' } as Descriptor;
}

/** True when the document lists manifests of several platforms. */
export function isIndex(text: string): boolean {
  const document = parseObject(text, 'manifest');
  return Array.isArray(document['manifests']) && !Array.isArray(document['layers']);
}

/** The entry of an index for this machine. Throws NotFound when there is none. */
export function selectPlatform(text: string): Descriptor {
  const entries = (parseObject(text, 'index')['manifests'] as unknown[]).map(entry => descriptor(entry, 'index entry'));
  const images = entries.filter(entry => entry.annotations?.['vnd.docker.reference.type'] === undefined);
  const fitting = images.filter(
    entry => entry.platform?.os === 'linux' && entry.platform.architecture === architecture,
  );
  const chosen = fitting[0] ?? images.find(entry => entry.platform === undefined);
  if (!chosen) throw new StatusError('NotFound', `no match for platform linux/${architecture} in the manifest list`);
  return chosen;
}

/** Parses an image manifest. Throws BadRequest for anything else, also for the old schema 1. */
export function parseManifest(text: string): Manifest {
  const document = parseObject(text, 'manifest');
  if (!document['config'] || !Array.isArray(document['layers'])) {
    throw new StatusError('BadRequest', 'the manifest is not an image manifest (schema 1 is not supported)');
  }
  const layers = document['layers'].map(layer => descriptor(layer, 'layer'));
  if (layers.length > maxLayers) throw new StatusError('BadRequest', `the image has more than ${maxLayers} layers`);
  return { config: descriptor(document['config'], 'config'), layers };
}

/** Parses an image's configuration and checks what is used of it. */
export function parseImageConfig(text: string): ImageConfig {
  const document = parseObject(text, 'image configuration') as unknown as ImageConfig;
  const diffIds: unknown = (document.rootfs as { diff_ids?: unknown } | undefined)?.diff_ids;
  if (!Array.isArray(diffIds) || !diffIds.every(id => typeof id === 'string' && /^sha256:[0-9a-f]{64}$/.test(id))) {
    throw new StatusError('BadRequest', 'the image configuration has no valid rootfs.diff_ids');
  }
  if (document.os && document.os !== 'linux')
    throw new StatusError('BadRequest', `image operating system "${document.os}" cannot be used on linux`);
  return document;
}
