import fs from 'node:fs';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { tryCommand } from '../process/run-command';
import type { NetworkConfig, PluginConfig } from './cni-config';

/** A container's attachment to its network. */
export interface Attachment {
  containerId: string;
  /** Path of the network namespace; empty when it is gone, as after a restart of the machine. */
  netns: string;
  interfaceName: string;
  /** CNI_ARGS. */
  arguments: Record<string, string>;
  /** Values for plugins that declare the capability: portMappings, bandwidth, dns. */
  runtimeConfig: Record<string, unknown>;
}

/** The part of a plugin's result that the runtime reads; the rest is handed on as it is. */
export interface NetworkResult {
  cniVersion?: string;
  ips?: { address: string; gateway?: string; interface?: number; version?: string }[];
  interfaces?: { name: string; mac?: string; sandbox?: string }[];
  [other: string]: unknown;
}

/** Runs CNI plugins. Source: containernetworking/cni, SPEC.md, sections 2 to 4. */
export class Cni {
  constructor(private readonly deps: { binDirectories: readonly string[]; timeoutMs: number }) {}

  /** Attaches: every plugin in order, each with the result of the one before. What has been set up is undone on failure. */
  async add(network: NetworkConfig, attachment: Attachment): Promise<NetworkResult> {
    let result: NetworkResult | undefined;
    try {
      for (const plugin of network.plugins) {
        result = JSON.parse(await this.#run('ADD', network, plugin, attachment, result)) as NetworkResult;
      }
    } catch (error) {
      await this.remove(network, attachment, result).catch(() => undefined);
      throw error;
    }
    return result as NetworkResult;
  }

  /** Detaches: every plugin in reverse order. Plugins must not mind if it has been done before. */
  async remove(network: NetworkConfig, attachment: Attachment, result: NetworkResult | undefined): Promise<void> {
    for (const plugin of [...network.plugins].reverse()) {
      // One that is not there has not attached anything either, unless an attachment as a whole came about.
      if (result === undefined && this.#look(plugin.type) === undefined) continue;
      await this.#run('DEL', network, plugin, attachment, result);
    }
  }

  #look(type: string): string | undefined {
    return this.deps.binDirectories.map(directory => path.join(directory, type)).find(file => fs.existsSync(file));
  }

  #find(type: string): string {
    const file = this.#look(type);
    if (file !== undefined) return file;
    throw new StatusError(
      'ServiceUnavailable',
      `failed to find plugin "${type}" in path [${this.deps.binDirectories.join(' ')}]`,
    );
  }

  async #run(
    command: 'ADD' | 'DEL',
    network: NetworkConfig,
    plugin: PluginConfig,
    attachment: Attachment,
    previous: NetworkResult | undefined,
  ): Promise<string> {
    const { capabilities = {}, ...config } = plugin;
    const runtimeConfig = Object.fromEntries(
      Object.entries(attachment.runtimeConfig).filter(([key]) => capabilities[key]),
    );
    const input = {
      ...config,
      cniVersion: network.cniVersion,
      name: network.name,
      ...(Object.keys(runtimeConfig).length > 0 ? { runtimeConfig } : {}),
      ...(previous ? { prevResult: previous } : {}),
    };
    const { code, stdout, stderr } = await tryCommand(this.#find(plugin.type), [], {
      input: JSON.stringify(input),
      timeoutMs: this.deps.timeoutMs,
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: attachment.containerId,
        CNI_NETNS: attachment.netns,
        CNI_IFNAME: attachment.interfaceName,
        CNI_PATH: this.deps.binDirectories.join(':'),
        CNI_ARGS: Object.entries(attachment.arguments)
          .map(([key, value]) => `${key}=${value}`)
          .join(';'),
      },
    });
    if (code !== 0)
      throw new StatusError(
        'ServiceUnavailable',
        `plugin type="${plugin.type}" failed (${command.toLowerCase()}): ${words(stdout, stderr)}`,
      );
    return stdout;
  }
}

/** A plugin reports its failure as JSON on standard output. */
function words(stdout: string, stderr: string): string {
  try {
    const { msg, details } = JSON.parse(stdout) as { msg?: string; details?: string };
    if (msg) return details ? `${msg}: ${details}` : msg;
  } catch {
    // It died before it could.
  }
  return (stderr || stdout).trim() || 'it said nothing';
}
