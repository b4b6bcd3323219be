import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { csiDrivers, type CSIDriver } from '@naru/api';
import { isReason, KeyedLock } from '@naru/foundation';
import type { Attachments } from '../csi/attachments';
import { nodeCapabilities, type CsiDriver } from '../csi/csi-driver';
import type { CsiDrivers } from '../csi/csi-drivers';
import { VolumeExpander, type VolumeExpanderDeps } from '../csi/volume-expander';
import { listVolumeData, readVolumeData, removeVolumeData, writeVolumeData, type VolumeData } from '../csi/volume-data';
import { csiVolume, podInfo, takesFsGroup, volumeCapability, type CsiVolume } from '../csi/volume-request';
import type { PodPaths } from '../pods/pod-paths';
import { applyFsGroup } from './fs-group';
import { isMountPoint } from './mount';
import { VolumeStepError, isBlock, type VolumeContext, type VolumePlugin } from './plugin';

export interface CsiVolumeDeps extends VolumeExpanderDeps {
  drivers: CsiDrivers;
  attachments: Attachments;
  paths: PodPaths;
}

interface Mounting {
  context: VolumeContext;
  volume: CsiVolume;
  driver: CsiDriver;
  info: CSIDriver | undefined;
  data: VolumeData;
}

/** When the token runs out, from the token itself. */
function expiration(token: string): string {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
  const { exp } = JSON.parse(payload || '{}') as { exp?: number };
  return new Date((exp ?? 0) * 1000).toISOString().replace('.000Z', 'Z');
}

/** Volumes of CSI drivers: staged once a node, published once a pod. Source: pkg/volume/csi. */
class CsiVolumes implements VolumePlugin {
  readonly name = 'csi';
  readonly inMemory = false;
  /** Some drivers want to be asked again from time to time, to bring their volumes up to date. */
  readonly refreshes = true;
  private readonly lock = new KeyedLock();
  private readonly expander: VolumeExpander;

  constructor(private readonly deps: CsiVolumeDeps) {
    this.expander = new VolumeExpander(deps);
  }

  supports({ volume, claimed }: Pick<VolumeContext, 'volume' | 'claimed'>): boolean {
    return volume.csi !== undefined || claimed?.persistentVolume.spec?.csi !== undefined;
  }

  async setUp(context: VolumeContext): Promise<string> {
    const volume = csiVolume(context);
    const { drivers } = this.deps;
    const targetPath = this.targetOf(context);
    const info = await this.driverInfo(volume.driver);
    const mounted = isMountPoint(targetPath);
    // What is in place stays so while its driver is away.
    if (mounted && !info?.spec.requiresRepublish && !drivers.has(volume.driver)) return targetPath;
    const driver = drivers.get(volume.driver);
    checkLifecycle(volume, info);
    const data = this.dataOf(context, volume, driver, info);
    const mounting = { context, volume, driver, info, data };
    if (!mounted || info?.spec.requiresRepublish) {
      await this.lock.run(`${volume.driver}/${volume.handle}`, () => this.mount(mounting));
    } else if (context.claimed) {
      await this.lock.run(`${volume.driver}/${volume.handle}`, () => this.growMounted(mounting));
    }
    if (!mounted && takesFsGroup(volume, info) && !driver.can(nodeCapabilities.VOLUME_MOUNT_GROUP) && !isBlock(context))
      await applyFsGroup(data.targetPath, context.pod);
    return data.targetPath;
  }

  async tearDown(directory: string): Promise<void> {
    const data = await readVolumeData(directory);
    if (data) {
      const driver = this.deps.drivers.get(data.driverName);
      await this.lock.run(`${data.driverName}/${data.volumeHandle}`, () => this.unmount(driver, directory, data));
    }
    this.deps.attachments.release(directory);
  }

  private async driverInfo(name: string): Promise<CSIDriver | undefined> {
    try {
      return await this.deps.client.get(csiDrivers, { name });
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  private targetOf(context: VolumeContext): string {
    return isBlock(context)
      ? this.deps.paths.csi('volumeDevices', 'publish', context.volume.name, context.pod.metadata?.uid ?? '')
      : path.join(context.directory, 'mount');
  }

  private dataOf(
    context: VolumeContext,
    volume: CsiVolume,
    driver: CsiDriver,
    info: CSIDriver | undefined,
  ): VolumeData {
    const { paths } = this.deps;
    const { name } = context.volume;
    const block = isBlock(context);
    const stages = volume.lifecycle === 'Persistent' && driver.can(nodeCapabilities.STAGE_UNSTAGE_VOLUME);
    const hash = createHash('sha256').update(volume.handle).digest('hex');
    return {
      driverName: volume.driver,
      volumeHandle: volume.handle,
      specVolID: name,
      volumeLifecycleMode: volume.lifecycle,
      attached: isAttached(volume, info),
      targetPath: this.targetOf(context),
      stagingPath: !stages
        ? ''
        : block
          ? paths.csi('volumeDevices', 'staging', name)
          : paths.csi(volume.driver, hash, 'globalmount'),
    };
  }

  private async mount(mounting: Mounting): Promise<void> {
    const { context, volume, driver, info, data } = mounting;
    const { volumeHandle: volumeId, stagingPath: stagingTargetPath, targetPath } = data;
    const publishContext = await this.attach(context, volume, data.attached);
    const capability = volumeCapability(context, volume, driver, info);
    const request = {
      ...{ volumeId, publishContext, stagingTargetPath },
      volumeCapability: capability,
      volumeContext: { ...volume.attributes },
    };
    // Written down before the driver is asked: whatever it does from here on will be undone.
    await writeVolumeData(context.directory, data);
    if (stagingTargetPath) {
      await fs.mkdir(stagingTargetPath, { recursive: true, mode: 0o750 });
      await driver.stage({ ...request, secrets: await this.secrets(context, volume.stageSecret) });
      await this.grow(mounting, stagingTargetPath, 'MountVolume.MountDevice');
    }
    await fs.mkdir(path.dirname(targetPath), { recursive: true, mode: 0o750 });
    await driver.publish({
      ...request,
      targetPath,
      readonly: volume.readOnly,
      secrets: await this.secrets(context, volume.publishSecret),
      volumeContext: {
        ...volume.attributes,
        ...(info?.spec.podInfoOnMount ? podInfo(context.pod, volume) : {}),
        ...(await this.tokens(context, info)),
      },
    });
    if (!stagingTargetPath) await this.grow(mounting, targetPath, 'MountVolume.Setup');
  }

  /** On its way to a pod: one that cannot grow keeps the pod waiting. */
  private async grow(mounting: Mounting, volumePath: string, step: string): Promise<void> {
    try {
      await this.expand(mounting, volumePath);
    } catch (cause) {
      throw new VolumeStepError(`${step} failed while expanding volume`, cause as Error);
    }
  }

  /** In use: the pod goes on with what there is. */
  private async growMounted(mounting: Mounting): Promise<void> {
    const { context, data } = mounting;
    try {
      await this.expand(mounting, data.targetPath);
    } catch (error) {
      const message = `NodeExpandVolume.NodeExpandVolume failed for volume "${context.volume.name}" : ${(error as Error).message}`;
      this.deps.events.pod(context.pod, 'Warning', 'VolumeResizeFailed', message);
    }
  }

  private expand({ context, volume, driver, info, data }: Mounting, volumePath: string): Promise<void> {
    const { volumeHandle: volumeId, stagingPath: stagingTargetPath } = data;
    const volumeCapability_ = volumeCapability(context, volume, driver, info);
    return this.expander.expand({
      ...{ context, driver, readOnly: volume.readOnly },
      request: { volumeId, volumePath, stagingTargetPath, volumeCapability: volumeCapability_ },
      secrets: () => this.secrets(context, volume.expandSecret),
    });
  }

  private async unmount(driver: CsiDriver, directory: string, data: VolumeData): Promise<void> {
    const { volumeHandle: volumeId, targetPath, stagingPath } = data;
    await driver.unpublish({ volumeId, targetPath });
    await removeEmpty(targetPath);
    if (stagingPath) {
      const all = await listVolumeData(this.deps.paths.pods);
      const others = [...all].filter(
        ([other, { stagingPath: staged }]) => other !== directory && staged === stagingPath,
      );
      if (others.length === 0) {
        await driver.unstage({ volumeId, stagingTargetPath: stagingPath });
        await removeEmpty(stagingPath);
      }
    }
    await removeVolumeData(directory);
    this.expander.forget(volumeId);
  }

  /** For drivers whose volumes a controller attaches first; what it learnt goes to the driver on the node. */
  private async attach(
    context: VolumeContext,
    { driver, handle }: CsiVolume,
    attached: boolean,
  ): Promise<Record<string, string>> {
    if (!attached) return {};
    const volume = { name: context.volume.name, driver, handle };
    this.deps.attachments.use(volume, context.directory);
    return this.deps.attachments.attached(volume, context.signal);
  }

  private async secrets(context: VolumeContext, secret: CsiVolume['publishSecret']): Promise<Record<string, string>> {
    if (!secret) return {};
    const found = await context.objects.secret(secret.namespace, secret.name);
    if (!found) throw new Error(`secrets "${secret.name}" not found`);
    return Object.fromEntries(
      Object.entries(found.data ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64').toString('utf8')]),
    );
  }

  private async tokens(context: VolumeContext, info: CSIDriver | undefined): Promise<Record<string, string>> {
    const requests = info?.spec.tokenRequests ?? [];
    if (requests.length === 0) return {};
    const { name = '', namespace = '', uid = '' } = context.pod.metadata ?? {};
    const tokens: Record<string, unknown> = {};
    for (const { audience, expirationSeconds = 3600 } of requests) {
      const token = await context.serviceAccountToken({
        namespace,
        serviceAccount: context.pod.spec?.serviceAccountName || 'default',
        audiences: audience ? [audience] : [],
        expirationSeconds,
        pod: { name, uid },
      });
      tokens[audience] = { token, expirationTimestamp: expiration(token) };
    }
    return { 'csi.storage.k8s.io/serviceAccount.tokens': JSON.stringify(tokens) };
  }
}

/** Removes what a driver leaves of a mount point; never what may still be somebody's data. */
async function removeEmpty(place: string): Promise<void> {
  const stats = await fs.lstat(place).catch(() => undefined);
  if (!stats) return;
  if (isMountPoint(place)) throw new Error(`"${place}" is still mounted`);
  await (stats.isDirectory() ? fs.rmdir(place) : fs.unlink(place));
}

/** Whether a controller attaches volumes of this kind before they can be used: yes, unless the driver says no. */
function isAttached({ lifecycle }: CsiVolume, info: CSIDriver | undefined): boolean {
  return lifecycle === 'Persistent' && info?.spec.attachRequired !== false;
}

function checkLifecycle({ driver, lifecycle }: CsiVolume, info: CSIDriver | undefined): void {
  const modes = info?.spec.volumeLifecycleModes ?? ['Persistent'];
  if (modes.includes(lifecycle)) return;
  const why = info ? `only supports ${JSON.stringify(modes)}` : 'no CSIDriver object';
  throw new Error(`volume mode "${lifecycle}" not supported by driver ${driver} (${why})`);
}

export function csi(deps: CsiVolumeDeps): VolumePlugin {
  return new CsiVolumes(deps);
}
