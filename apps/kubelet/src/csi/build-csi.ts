import type { ObjectsClient } from '@naru/client';
import type { Clock, Logger } from '@naru/foundation';
import type { PodPaths } from '../pods/pod-paths';
import { Attachments } from './attachments';
import { CsiDrivers } from './csi-drivers';
import { CsiNodeObject } from './csi-node';
import { PluginWatcher, type PluginHandler } from './plugin-watcher';

export interface CsiDeps {
  client: ObjectsClient;
  clock: Clock;
  logger: Logger;
  paths: PodPaths;
  nodeName: string;
  /** The list of volumes in use has changed. */
  onChange: () => void;
  /** Who takes plugins that are no CSI drivers, by their type: they register in the same folder. */
  otherPlugins: Readonly<Record<string, PluginHandler>>;
}

/** All that CSI volumes need: the drivers of this node, their registration, and the volumes attached to it. */
export interface Csi {
  drivers: CsiDrivers;
  attachments: Attachments;
  watcher: PluginWatcher;
}

export function buildCsi(deps: CsiDeps): Csi {
  const { client, logger, clock, paths, nodeName, onChange, otherPlugins } = deps;
  const drivers = new CsiDrivers({ node: new CsiNodeObject({ client, nodeName }), logger });
  const attachments = new Attachments({ client, clock, nodeName, onChange });
  const directory = paths.pluginsRegistry;
  const watcher = new PluginWatcher({ directory, handlers: { CSIPlugin: drivers, ...otherPlugins }, clock, logger });
  return { drivers, attachments, watcher };
}
