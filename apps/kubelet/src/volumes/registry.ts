import { configMap } from './config-map';
import { csi, type CsiVolumeDeps } from './csi';
import { downwardApi } from './downward-api';
import { emptyDir } from './empty-dir';
import { hostPath } from './host-path';
import { local } from './local';
import { localPath } from './local-path';
import { nfs } from './nfs';
import type { VolumePlugin } from './plugin';
import { projected } from './projected';
import { secret } from './secret';

/** Every kind of volume there is; the first that supports a volume takes it. */
export function volumePlugins(deps: CsiVolumeDeps): readonly VolumePlugin[] {
  return [projected, configMap, secret, emptyDir, downwardApi, localPath, hostPath, csi(deps), local, nfs];
}
