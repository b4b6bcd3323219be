import fs from 'node:fs/promises';
import { status } from '@grpc/grpc-js';
import { csi, registration } from '@naru/proto';
import { answer, CsiFailure, required } from './answer';
import { attachDevice, detachDevice, resizeDevice } from './block-devices';
import { bind, unbind, type Volumes } from './volumes';

export interface DriverOptions {
  name: string;
  nodeName: string;
  volumes: Volumes;
  /** Socket of the services below, as the kubelet sees it. */
  endpoint: string;
  log: (message: string) => void;
}

/** Volumes are where they were made: this label of a node says where. */
export const topologyKey = (name: string): string => `topology.${name}/node`;

export function identityService({ name }: DriverOptions): csi.IdentityServer {
  const { CONTROLLER_SERVICE, VOLUME_ACCESSIBILITY_CONSTRAINTS } = csi.PluginCapability_Service_Type;
  return {
    getPluginInfo: answer(() => ({ name, vendorVersion: '1.0.0', manifest: {} })),
    getPluginCapabilities: answer(() => ({
      capabilities: [CONTROLLER_SERVICE, VOLUME_ACCESSIBILITY_CONSTRAINTS].map(type => ({
        type: { $case: 'service' as const, value: { type } },
      })),
    })),
    probe: answer(() => ({ ready: true })),
  };
}

export function controllerService({ name, nodeName, volumes }: DriverOptions): csi.ControllerServer {
  const { CREATE_DELETE_VOLUME, PUBLISH_UNPUBLISH_VOLUME, EXPAND_VOLUME, GET_CAPACITY } =
    csi.ControllerServiceCapability_RPC_Type;
  return {
    createVolume: answer(async ({ name: id, capacityRange, volumeCapabilities }) => {
      const isBlock = volumeCapabilities.some(({ accessType }) => accessType?.$case === 'block');
      if (isBlock) await volumes.createBlock(required(id, 'name'), capacityRange?.requiredBytes ?? 0n);
      else await volumes.create(required(id, 'name'));
      const accessibleTopology = [{ segments: { [topologyKey(name)]: nodeName } }];
      const capacityBytes = capacityRange?.requiredBytes ?? 0n;
      return { volume: { volumeId: id, capacityBytes, volumeContext: {}, accessibleTopology } };
    }),
    deleteVolume: answer(async ({ volumeId }) => {
      await volumes.remove(required(volumeId, 'volume_id'));
      return {};
    }),
    // A directory is attached by being there; the node is told where it comes from, as it would be of a disk.
    controllerPublishVolume: answer(async ({ volumeId, nodeId }) => {
      if (nodeId !== nodeName) throw new CsiFailure(status.NOT_FOUND, `node ${nodeId} has no volumes of ${nodeName}`);
      if (!(await volumes.exists(required(volumeId, 'volume_id'))))
        throw new CsiFailure(status.NOT_FOUND, `volume ${volumeId} is not on node ${nodeName}`);
      return { publishContext: { directory: volumes.place(volumeId) } };
    }),
    controllerUnpublishVolume: answer(() => ({})),
    controllerExpandVolume: answer(async ({ volumeId, capacityRange }) => {
      const capacityBytes = capacityRange?.requiredBytes ?? 0n;
      if (await volumes.isBlock(volumeId)) await volumes.createBlock(volumeId, capacityBytes);
      return { capacityBytes, nodeExpansionRequired: true };
    }),
    getCapacity: answer(async () => ({
      availableCapacity: await volumes.room(),
      maximumVolumeSize: undefined,
      minimumVolumeSize: undefined,
    })),
    controllerGetCapabilities: answer(() => ({
      capabilities: [CREATE_DELETE_VOLUME, PUBLISH_UNPUBLISH_VOLUME, EXPAND_VOLUME, GET_CAPACITY].map(type => ({
        type: { $case: 'rpc' as const, value: { type } },
      })),
    })),
  };
}

export function nodeService({ name, nodeName, volumes, log }: DriverOptions): csi.NodeServer {
  const { STAGE_UNSTAGE_VOLUME, GET_VOLUME_STATS, EXPAND_VOLUME } = csi.NodeServiceCapability_RPC_Type;
  const existing = async (id: string): Promise<string> => {
    if (!(await volumes.exists(required(id, 'volume_id'))))
      throw new CsiFailure(status.NOT_FOUND, `volume ${id} is not on node ${nodeName}`);
    return volumes.place(id);
  };
  const ephemeral = (context: Record<string, string>): boolean => context['csi.storage.k8s.io/ephemeral'] === 'true';
  return {
    nodeStageVolume: answer(async ({ volumeId, stagingTargetPath, publishContext }) => {
      const place = await existing(volumeId);
      if (await volumes.isBlock(volumeId)) await attachDevice(place);
      else await bind(place, required(stagingTargetPath, 'staging_target_path'), false);
      log(`staged ${volumeId} ${JSON.stringify(publishContext)}`);
      return {};
    }),
    nodeUnstageVolume: answer(async ({ volumeId, stagingTargetPath }) => {
      await unbind(stagingTargetPath);
      await detachDevice(volumes.place(volumeId));
      log(`unstaged ${volumeId}`);
      return {};
    }),
    nodePublishVolume: answer(async ({ volumeId, stagingTargetPath, targetPath, readonly, volumeContext }) => {
      // A volume that a pod names itself lives as long as the pod.
      if (ephemeral(volumeContext)) await volumes.create(volumeId);
      const isBlock = await volumes.isBlock(volumeId);
      const source = isBlock
        ? await attachDevice(volumes.place(volumeId))
        : stagingTargetPath || (await existing(volumeId));
      await bind(source, required(targetPath, 'target_path'), readonly);
      log(`published ${volumeId} ${JSON.stringify(volumeContext)}`);
      return {};
    }),
    nodeUnpublishVolume: answer(async ({ volumeId, targetPath }) => {
      await unbind(targetPath);
      if (volumeId.startsWith('csi-')) await volumes.remove(volumeId);
      log(`unpublished ${volumeId}`);
      return {};
    }),
    nodeGetVolumeStats: answer(async ({ volumePath }) => {
      const { bsize, blocks, bavail, files, ffree } = await fs.statfs(volumePath);
      const usage = (unit: csi.VolumeUsage_Unit, total: number, available: number): csi.VolumeUsage => ({
        unit,
        total: BigInt(total),
        available: BigInt(available),
        used: BigInt(total - available),
      });
      const { BYTES, INODES } = csi.VolumeUsage_Unit;
      return {
        usage: [usage(BYTES, blocks * bsize, bavail * bsize), usage(INODES, files, ffree)],
        volumeCondition: undefined,
      };
    }),
    nodeExpandVolume: answer(async ({ volumeId, capacityRange }) => {
      const [code = '', ...words] = (await volumes.refusal(volumeId))?.trim().split(' ') ?? [];
      if (code in status) throw new CsiFailure(status[code as keyof typeof status], words.join(' '));
      if (await volumes.isBlock(volumeId)) await resizeDevice(volumes.place(volumeId));
      log(`expanded ${volumeId} to ${capacityRange?.requiredBytes}`);
      return { capacityBytes: capacityRange?.requiredBytes ?? 0n };
    }),
    nodeGetCapabilities: answer(() => ({
      capabilities: [STAGE_UNSTAGE_VOLUME, GET_VOLUME_STATS, EXPAND_VOLUME].map(type => ({
        type: { $case: 'rpc' as const, value: { type } },
      })),
    })),
    nodeGetInfo: answer(() => ({
      nodeId: nodeName,
      maxVolumesPerNode: 0n,
      accessibleTopology: { segments: { [topologyKey(name)]: nodeName } },
    })),
  };
}

/** How the kubelet gets to know the driver: by a second socket, in its registration folder. */
export function registrationService({ name, endpoint, log }: DriverOptions): registration.RegistrationServer {
  return {
    getInfo: answer(() => ({ type: 'CSIPlugin', name, endpoint, supportedVersions: ['1.0.0'] })),
    notifyRegistrationStatus: answer(({ pluginRegistered, error }) => {
      log(pluginRegistered ? 'registered' : `not registered: ${error}`);
      return {};
    }),
  };
}
