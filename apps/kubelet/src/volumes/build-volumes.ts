import { buildCsi, type Csi } from '../csi/build-csi';
import type { ContainerDevices } from '../devices/container-devices';
import type { LaterParts, Surroundings } from '../surroundings';
import { Claims } from './claims';
import { ObjectCache } from './object-cache';
import { PodVolumes } from './pod-volumes';
import { volumePlugins } from './registry';
import { ServiceAccountTokens } from './service-account-tokens';

interface VolumesDeps extends Surroundings, Pick<LaterParts, 'reporter'> {
  /** Their drivers register where those of CSI do. */
  devices: ContainerDevices;
}

/** The volumes of pods, and what they show: ConfigMaps and Secrets, tokens, CSI drivers' volumes. */
export interface Volumes {
  objects: ObjectCache;
  tokens: ServiceAccountTokens;
  csi: Csi;
  volumes: PodVolumes;
}

export function buildVolumes(deps: VolumesDeps): Volumes {
  const { client, clock, paths, events, nodeName, metrics, reporter } = deps;
  const objects = new ObjectCache({ client, clock });
  const tokens = new ServiceAccountTokens({ client, clock });
  const csi = buildCsi({
    ...deps,
    onChange: () => reporter().poke(),
    otherPlugins: { DRAPlugin: deps.devices.claims.drivers },
  });
  const volumes = new PodVolumes({
    ...{ paths, objects, serviceAccountToken: tokens.get, clock },
    plugins: volumePlugins({ client, paths, events, clock, nodeName, ...csi }),
    claims: new Claims({ client, node: () => reporter().current }),
    onSetUp: (plugin, seconds, failed) =>
      metrics.storageSeconds.observe(
        {
          volume_plugin: `kubernetes.io/${plugin}`,
          operation_name: 'volume_mount',
          status: failed ? 'fail-unknown' : 'success',
          migrated: 'false',
        },
        seconds,
      ),
  });
  return { objects, tokens, csi, volumes };
}
