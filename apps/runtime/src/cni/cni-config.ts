import fs from 'node:fs';
import path from 'node:path';
import { listDirectory } from '../process/files';
import { usableVersions } from './cni-versions';

/**
 * Who writes this key with `true` into a plugin's part says that the plugin does nothing for a container without arguments for one of its capabilities; then it
 * is not even started. The plugin does not see the key. Other runtimes start it all the same.
 */
export const onlyWithArguments = 'naru.dev/only-with-arguments';

/** One plugin's part of a network configuration, as its author wrote it. */
export type PluginConfig = Record<string, unknown> & { type: string; capabilities?: Record<string, boolean> };

/** A network configuration list: containernetworking/cni, SPEC.md, section 1. */
export interface NetworkConfig {
  /** The newest that it allows; after negotiation with its plugins the one that is spoken. */
  cniVersion: string;
  /** All that it allows, newest first; absent in records of earlier versions. */
  cniVersions?: string[];
  name: string;
  plugins: PluginConfig[];
  disableCheck?: boolean;
  disableGC?: boolean;
}

function truth(document: Record<string, unknown>, name: string): boolean {
  const value = document[name] ?? false;
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new Error(`${name} must be true or false`);
}

function validPlugins(plugins: unknown[]): PluginConfig[] {
  for (const plugin of plugins as Partial<PluginConfig>[]) {
    if (typeof plugin.type !== 'string' || !/^[\w.-]+$/.test(plugin.type))
      throw new Error('a plugin has no valid type');
  }
  return plugins as PluginConfig[];
}

/**
 * Reads a .conflist, or a .conf with a single plugin. `more` gives the plugins that stand in files of their own for a network of that name;
 * they follow those of the list, unless the list says loadOnlyInlinedPlugins. Throws with the reason when it is not valid.
 */
export function parseNetworkConfig(text: string, more: (name: string) => PluginConfig[] = () => []): NetworkConfig {
  const document = JSON.parse(text) as Record<string, unknown>;
  const { name } = document;
  if (typeof name !== 'string' || !/^[A-Za-z0-9][\w.-]*$/.test(name)) throw new Error('it has no valid name');
  const single = document['plugins'] === undefined && document['type'] !== undefined;
  const inlined = single ? [document] : Array.isArray(document['plugins']) ? (document['plugins'] as unknown[]) : [];
  const plugins = validPlugins(inlined);
  if (!single && !truth(document, 'loadOnlyInlinedPlugins')) plugins.push(...more(name));
  if (plugins.length === 0) throw new Error('it lists no plugins');
  const cniVersions = usableVersions(document['cniVersion'], document['cniVersions']);
  return {
    cniVersion: cniVersions[0] as string,
    cniVersions,
    name,
    plugins,
    disableCheck: truth(document, 'disableCheck'),
    disableGC: truth(document, 'disableGC'),
  };
}

/**
 * The first valid network configuration of a directory, by file name. It is read whenever it is asked for: a file may change twice within one
 * tick of its time, and while it is read.
 */
export class NetworkConfigDirectory {
  constructor(readonly directory: string) {}

  /** The configuration, or the reason why there is none. */
  current(): { config: NetworkConfig } | { problem: string } {
    let problem = `no network config found in ${this.directory}: cni plugin not initialized`;
    const files = listDirectory(this.directory).filter(
      name => /\.(conflist|conf|json)$/.test(name) && !name.startsWith('.'),
    );
    for (const name of files.sort()) {
      try {
        const text = fs.readFileSync(path.join(this.directory, name), 'utf8');
        return { config: parseNetworkConfig(text, network => this.#readPlugins(network)) };
      } catch (error) {
        problem = `network config ${name} in ${this.directory} is invalid: ${(error as Error).message}`;
      }
    }
    return { problem };
  }

  /** Files of single plugins: DIRECTORY/NETWORK/*.conf. */
  #readPlugins(network: string): PluginConfig[] {
    const folder = path.join(this.directory, network);
    const files = listDirectory(folder).filter(name => name.endsWith('.conf'));
    return validPlugins(
      files.sort().map(name => JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8')) as unknown),
    );
  }
}
