import { configMap } from './config-map';
import { downwardApi } from './downward-api';
import { emptyDir } from './empty-dir';
import { hostPath } from './host-path';
import type { VolumePlugin } from './plugin';
import { projected } from './projected';
import { secret } from './secret';

/** Every kind of volume there is. */
export const volumePlugins: readonly VolumePlugin[] = [projected, configMap, secret, emptyDir, downwardApi, hostPath];
