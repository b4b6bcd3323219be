import { secrets as secretType, type Container, type Pod, type Secret } from '@naru/api';
import type { cri } from '@naru/proto';
import { BoundedMap, type Logger } from '@naru/foundation';
import type { CriClient } from '../cri/cri-client';
import type { ConfigSource } from '../containers/env';
import { imageSizeClass, type KubeletMetrics } from '../metrics/kubelet-metrics';
import type { ImageUser } from '../containers/security-context';
import { BackOff } from '../pods/back-off';
import type { PodEvents } from '../pods/pod-events';
import { defaultPullPolicy, fullImageName, parseImageName } from './image-name';
import type { PullRecords } from './pull-records';
import { pullCredentials, type PullCredential } from './pull-secrets';

/** Why a container has no image; `reason` is the waiting reason. */
export class ImageError extends Error {
  constructor(
    readonly reason: 'ErrImagePull' | 'ImagePullBackOff' | 'ErrImageNeverPull' | 'InvalidImageName',
    message: string,
    /** After this time it is worth trying again. */
    readonly retryAfterMs: number,
    options: { cause?: unknown } = {},
  ) {
    super(message, options);
  }
}

export interface PresentImage {
  /** What CRI calls the image. */
  ref: string;
  user: ImageUser;
}

export interface ImagePullerDeps {
  client: CriClient;
  objects: ConfigSource;
  events: PodEvents;
  logger: Logger;
  now: () => number;
  metrics: KubeletMetrics;
  records: PullRecords;
  /** How many images are pulled at once; upstream pulls one at a time. */
  maxParallelPulls?: number;
}

/** Makes sure that a container's image is there, by its pull policy and with back-off. Source: pkg/kubelet/images. */
export class ImagePuller {
  private readonly backOff: BackOff;
  private readonly failedAt = new BoundedMap<string, { at: number; message: string }>(4_096);
  private readonly pulling = new Map<string, Promise<void>>();
  private readonly queue: (() => void)[] = [];
  private active = 0;

  constructor(private readonly deps: ImagePullerDeps) {
    this.backOff = new BackOff({ now: deps.now });
  }

  /** Throws ImageError. */
  async ensure(pod: Pod, container: Container, sandboxConfig: cri.PodSandboxConfig): Promise<PresentImage> {
    const image = container.image ?? '';
    let name: string;
    try {
      name = fullImageName(image);
    } catch (cause) {
      const message = `Failed to apply default image tag "${image}": ${(cause as Error).message}`;
      this.event(pod, container, 'Warning', 'InspectFailed', message);
      throw new ImageError('InvalidImageName', message, 60_000, { cause });
    }
    const policy = container.imagePullPolicy ?? defaultPullPolicy(image);
    const present = await this.deps.client.imageStatus(name);
    if (present && policy !== 'Always' && (await this.mayUse(pod, name, present))) {
      const message = `Container image "${image}" already present on machine and can be accessed by the pod`;
      this.event(pod, container, 'Normal', 'Pulled', message);
      return presentImage(present);
    }
    if (policy === 'Never') {
      const what = present ? 'present, but not accessible with the credentials of the pod,' : 'not present';
      const message = `Container image "${image}" is ${what} with pull policy of Never`;
      this.event(pod, container, 'Warning', 'ErrImageNeverPull', message);
      throw new ImageError('ErrImageNeverPull', message, 60_000);
    }
    const startedAt = this.deps.now();
    await this.pull(pod, container, name, sandboxConfig);
    const pulled = await this.deps.client.imageStatus(name);
    if (pulled) {
      const seconds = (this.deps.now() - startedAt) / 1000;
      this.deps.metrics.pullSeconds.observe({ image_size_in_bytes: imageSizeClass(Number(pulled.size)) }, seconds);
    }
    if (!pulled) throw new ImageError('ErrImagePull', `image "${image}" is gone right after its pull`, 1_000);
    return presentImage(pulled);
  }

  /** At a start: takes up what is known of images that were pulled before. */
  async recover(): Promise<void> {
    try {
      this.deps.records.recover(await this.deps.client.listImages());
    } catch (err) {
      this.deps.logger.warn({ err }, 'records of pulled images not brought up to date');
    }
  }

  /** The image has gone from this node. */
  forget(imageId: string): void {
    this.deps.records.forget(imageId);
  }

  /** Secrets are asked for only where they matter: most images are everybody's. */
  private async mayUse(pod: Pod, name: string, { id }: cri.Image): Promise<boolean> {
    const { records } = this.deps;
    if (records.mayUse(name, id, [])) return true;
    const secrets = (await this.credentials(pod, name)).map(({ secret }) => secret);
    return records.mayUse(name, id, secrets);
  }

  private async credentials(pod: Pod, name: string): Promise<PullCredential[]> {
    return pullCredentials(await this.pullSecrets(pod), parseImageName(name));
  }

  private async pull(pod: Pod, container: Container, name: string, config: cri.PodSandboxConfig): Promise<void> {
    const { now } = this.deps;
    const image = container.image ?? '';
    const key = `${pod.metadata?.uid ?? ''}/${name}`;
    const failed = this.failedAt.get(key);
    const waitMs = failed ? this.backOff.remainingMs(key, failed.at) : 0;
    if (failed && waitMs > 0) {
      const message = `Back-off pulling image "${image}"`;
      this.event(pod, container, 'Normal', 'BackOff', message);
      throw new ImageError('ImagePullBackOff', `${message}: ErrImagePull: ${failed.message}`, waitMs);
    }
    this.event(pod, container, 'Normal', 'Pulling', `Pulling image "${image}"`);
    const startedAt = now();
    try {
      await this.pullOnce(pod, name, config);
    } catch (cause) {
      const { message } = cause as Error;
      this.remember(key, message);
      this.event(pod, container, 'Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
      // The runtime gets no second try before its time; this one shows that the first has failed.
      throw new ImageError('ErrImagePull', message, 1_000, { cause });
    }
    this.failedAt.delete(key);
    this.backOff.forget(key);
    const seconds = ((now() - startedAt) / 1000).toFixed(3);
    this.event(pod, container, 'Normal', 'Pulled', `Successfully pulled image "${image}" in ${seconds}s`);
  }

  private remember(key: string, message: string): void {
    this.backOff.next(key, this.deps.now());
    this.failedAt.set(key, { at: this.deps.now(), message });
  }

  /** Pods that want the same image with the same credentials share one pull. */
  private async pullOnce(pod: Pod, name: string, config: cri.PodSandboxConfig): Promise<void> {
    const credentials = await this.credentials(pod, name);
    const key = JSON.stringify([name, credentials]);
    const running = this.pulling.get(key);
    if (running) return running;
    const pull = this.limited(() => this.tryCredentials(name, credentials, config));
    this.pulling.set(key, pull);
    try {
      return await pull;
    } finally {
      this.pulling.delete(key);
    }
  }

  private async tryCredentials(
    name: string,
    credentials: readonly PullCredential[],
    config: cri.PodSandboxConfig,
  ): Promise<void> {
    const { client, records } = this.deps;
    let failure: unknown;
    records.begin(name);
    for (const credential of credentials.length > 0 ? credentials : [undefined]) {
      try {
        await client.pullImage(name, credential?.auth, config);
        const pulled = await client.imageStatus(name);
        if (pulled) return records.succeeded(name, pulled.id, credential?.secret);
        failure = new Error(`image "${name}" is gone right after its pull`);
      } catch (error) {
        failure = error;
      }
    }
    records.failed(name);
    throw failure;
  }

  private async limited<T>(work: () => Promise<T>): Promise<T> {
    if (this.active >= (this.deps.maxParallelPulls ?? 4)) await new Promise<void>(resolve => this.queue.push(resolve));
    this.active++;
    try {
      return await work();
    } finally {
      this.active--;
      this.queue.shift()?.();
    }
  }

  private async pullSecrets(pod: Pod): Promise<Secret[]> {
    const { objects, logger } = this.deps;
    const namespace = pod.metadata?.namespace ?? '';
    const found: Secret[] = [];
    for (const { name } of pod.spec?.imagePullSecrets ?? []) {
      if (!name) continue;
      const secret = await objects.secret(namespace, name);
      // As upstream: the pull is tried without; the image may be public.
      if (secret) found.push(secret);
      else logger.warn({ resource: secretType.resource, namespace, name }, 'image pull secret not found');
    }
    return found;
  }

  private event(pod: Pod, container: Container, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.deps.events.container(pod, container.name, type, reason, message);
  }
}

function presentImage(image: cri.Image): PresentImage {
  const uid = image.uid === undefined ? undefined : Number(image.uid.value);
  return { ref: image.id, user: { uid, username: image.username } };
}
