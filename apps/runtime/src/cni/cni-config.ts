import fs from 'node:fs';
import path from 'node:path';
import { listDirectory } from '../process/files';

/** One plugin's part of a network configuration, as its author wrote it. */
export type PluginConfig = Record<string, unknown> & { type: string; capabilities?: Record<string, boolean> };

/** A network configuration list: containernetworking/cni, SPEC.md, section 1. */
export interface NetworkConfig {
  cniVersion: string;
  name: string;
  plugins: PluginConfig[];
}

/** Reads a .conflist, or a .conf with a single plugin. Throws with the reason when it is not valid. */
export function parseNetworkConfig(text: string): NetworkConfig {
  const document = JSON.parse(text) as Partial<NetworkConfig> & Partial<PluginConfig>;
  if (typeof document.name !== 'string' || document.name === '') throw new Error('it has no name');
  const plugins = Array.isArray(document.plugins) ? document.plugins : [document as PluginConfig];
  if (plugins.length === 0) throw new Error('it lists no plugins');
  for (const plugin of plugins) {
    if (typeof plugin.type !== 'string' || !/^[\w.-]+$/.test(plugin.type))
      throw new Error('a plugin has no valid type');
  }
  return {
    cniVersion: typeof document.cniVersion === 'string' ? document.cniVersion : '0.1.0',
    name: document.name,
    plugins,
  };
}

/** The first valid network configuration of a directory, by file name; it is read again whenever a file has changed. */
export class NetworkConfigDirectory {
  #stamp = '';
  #current: NetworkConfig | undefined;
  #problem = '';

  constructor(readonly directory: string) {}

  #files(): string[] {
    return listDirectory(this.directory)
      .filter(name => /\.(conflist|conf|json)$/.test(name) && !name.startsWith('.'))
      .sort();
  }

  /** The configuration, or the reason why there is none. */
  current(): { config: NetworkConfig } | { problem: string } {
    const files = this.#files();
    const stamp = files
      .map(name => {
        const stat = fs.statSync(path.join(this.directory, name), { throwIfNoEntry: false });
        return `${name} ${stat?.mtimeMs} ${stat?.ino} ${stat?.size}`;
      })
      .join('\n');
    if (stamp !== this.#stamp || this.#stamp === '') {
      this.#stamp = stamp;
      this.#load(files);
    }
    return this.#current ? { config: this.#current } : { problem: this.#problem };
  }

  #load(files: string[]): void {
    this.#current = undefined;
    this.#problem = `no network config found in ${this.directory}: cni plugin not initialized`;
    for (const name of files) {
      try {
        this.#current = parseNetworkConfig(fs.readFileSync(path.join(this.directory, name), 'utf8'));
        return;
      } catch (error) {
        this.#problem = `network config ${name} in ${this.directory} is invalid: ${(error as Error).message}`;
      }
    }
  }
}
