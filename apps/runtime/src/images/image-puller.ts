import { StatusError, type Logger } from '@naru/foundation';
import type { cri } from '@naru/proto';
import { referencesOf, type ImageStore } from './image-store';
import { isIndex, parseImageConfig, parseManifest, selectPlatform, type Descriptor } from './manifest';
import { parseReference } from './reference';
import { RegistryClient } from './registry-client';
import type { RegistryConfig } from './registry-config';

/** Layers fetched and unpacked at the same time, for each image. */
const parallelLayers = 3;

/** Fetches images from registries into the store; concurrent pulls of one image share the work. */
export class ImagePuller {
  readonly #pending = new Map<string, Promise<string>>();

  constructor(
    private readonly deps: { store: ImageStore; config: RegistryConfig; logger: Logger; signal: AbortSignal },
  ) {}

  /** Pulls what a reference names for this platform; resolves with the image's id. Errors carry the registry's words. */
  async pull(name: string, auth: cri.AuthConfig | undefined): Promise<string> {
    const key = `${name} ${auth ? JSON.stringify(auth) : ''}`;
    const pending = this.#pending.get(key);
    if (pending) return pending;
    const work = this.#pull(name, auth).finally(() => this.#pending.delete(key));
    this.#pending.set(key, work);
    return work;
  }

  async #pull(name: string, auth: cri.AuthConfig | undefined): Promise<string> {
    const started = Date.now();
    const reference = parseReference(name);
    const { store, config, logger, signal } = this.deps;
    const registry = new RegistryClient(reference, { config, auth, signal });
    try {
      let { text, digest } = await registry.manifest(reference.digest ?? reference.tag ?? 'latest');
      const names = referencesOf(name, digest);
      if (isIndex(text)) ({ text, digest } = await registry.manifest(selectPlatform(text).digest));
      const manifest = parseManifest(text);
      const imageConfig = parseImageConfig(await registry.content(manifest.config));
      await this.#fetchLayers(registry, manifest.layers, imageConfig.rootfs.diff_ids);
      const size = [manifest.config, ...manifest.layers].reduce((sum, part) => sum + part.size, text.length);
      store.add({ id: manifest.config.digest, config: imageConfig, size }, names);
      logger.info({ image: name, id: manifest.config.digest, durationMs: Date.now() - started }, 'image pulled');
      return manifest.config.digest;
    } catch (cause) {
      const { reason, message } =
        cause instanceof StatusError ? cause : { reason: 'InternalError' as const, message: (cause as Error).message };
      throw new StatusError(reason, `failed to pull image "${name}": ${message}`, { cause });
    }
  }

  async #fetchLayers(registry: RegistryClient, layers: Descriptor[], diffIds: string[]): Promise<void> {
    if (layers.length !== diffIds.length)
      throw new StatusError('BadRequest', 'the manifest and the configuration differ in their number of layers');
    const queue = layers.map((layer, index) => ({ layer, diffId: diffIds[index] as string }));
    let failed = false;
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next && !failed; next = queue.shift()) {
        const { layer, diffId } = next;
        try {
          await registry.retry(() => this.deps.store.layers.add(diffId, layer, () => registry.open(layer)));
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    };
    const results = await Promise.allSettled(Array.from({ length: parallelLayers }, worker));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}
