import fs from 'node:fs';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { tryCommand, type CommandResult } from '../process/run-command';
import { onlyWithArguments, type NetworkConfig, type PluginConfig } from './cni-config';
import { knows, newestCniVersion } from './cni-versions';

/** A container's attachment to its network. */
export interface Attachment {
  containerId: string;
  /** Path of the network namespace; empty when it is gone, as after a restart of the machine. */
  netns: string;
  interfaceName: string;
  /** CNI_ARGS. */
  arguments: Record<string, string>;
  /** Values for plugins that declare the capability: portMappings, bandwidth, dns and others. */
  runtimeConfig: Record<string, unknown>;
}

/** The part of a plugin's result that the runtime reads; the rest is handed on as it is. */
export interface NetworkResult {
  cniVersion?: string;
  ips?: { address: string; gateway?: string; interface?: number; version?: string }[];
  interfaces?: { name: string; mac?: string; sandbox?: string }[];
  [other: string]: unknown;
}

type Command = 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC' | 'VERSION';

/** Runs CNI plugins. Source: containernetworking/cni, SPEC.md, sections 2 to 4. */
export class Cni {
  /** What a plugin's program said of the versions it speaks, as long as the program is the same. */
  readonly #versions = new Map<string, string[]>();

  constructor(private readonly deps: { binDirectories: readonly string[]; timeoutMs: number }) {}

  /**
   * The configuration in the newest version that it and all its plugins know. Who allows but one version has chosen, and no plugin is
   * asked. Throws when there is none.
   */
  async negotiate(network: NetworkConfig): Promise<NetworkConfig> {
    const wanted = network.cniVersions ?? [network.cniVersion];
    if (wanted.length < 2) return network;
    const spoken = await Promise.all(
      network.plugins.map(async plugin => ({ plugin, versions: await this.#spokenBy(plugin) })),
    );
    const cniVersion = wanted.find(version => spoken.every(({ versions }) => versions.includes(version)));
    if (cniVersion !== undefined) return { ...network, cniVersion };
    const theirs = spoken.map(({ plugin, versions }) => `plugin "${plugin.type}" speaks ${versions.join(', ')}`);
    throw new StatusError(
      'ServiceUnavailable',
      `network "${network.name}" allows CNI versions ${wanted.join(', ')}, none of which all its plugins speak: ${theirs.join('; ')}`,
    );
  }

  async #spokenBy({ type }: PluginConfig): Promise<string[]> {
    const file = this.#find(type);
    const { mtimeMs, ino } = fs.statSync(file);
    const key = `${file} ${mtimeMs} ${ino}`;
    const known = this.#versions.get(key);
    if (known) return known;
    const { code, stdout } = await this.#execute('VERSION', type, { cniVersion: newestCniVersion }, {});
    // The oldest plugins do not know the question.
    const versions =
      code === 0 ? (JSON.parse(stdout) as { supportedVersions?: string[] }).supportedVersions : undefined;
    if (this.#versions.size > 64) this.#versions.clear();
    this.#versions.set(key, versions ?? ['0.1.0']);
    return versions ?? ['0.1.0'];
  }

  /** Attaches: every plugin in order, each with the result of the one before. What has been set up is undone on failure. */
  async add(network: NetworkConfig, attachment: Attachment): Promise<NetworkResult> {
    let result: NetworkResult | undefined;
    try {
      for (const plugin of concerned(network, attachment)) {
        result = JSON.parse(await this.#attached('ADD', network, plugin, attachment, result)) as NetworkResult;
      }
    } catch (error) {
      await this.remove(network, attachment, result).catch(() => undefined);
      throw error;
    }
    return result as NetworkResult;
  }

  /** Detaches: every plugin in reverse order. Plugins must not mind if it has been done before. */
  async remove(network: NetworkConfig, attachment: Attachment, result: NetworkResult | undefined): Promise<void> {
    const previous = knows(network.cniVersion, 'check') ? result : undefined;
    for (const plugin of concerned(network, attachment).reverse()) {
      // One that is not there has not attached anything either, unless an attachment as a whole came about.
      if (result === undefined && this.#look(plugin.type) === undefined) continue;
      await this.#attached('DEL', network, plugin, attachment, previous);
    }
  }

  /** Whether an attachment is still as ADD has left it; throws what a plugin says is wrong. False: nobody can tell. */
  async check(network: NetworkConfig, attachment: Attachment, result: NetworkResult): Promise<boolean> {
    if (network.disableCheck || !knows(network.cniVersion, 'check')) return false;
    for (const plugin of concerned(network, attachment))
      await this.#attached('CHECK', network, plugin, attachment, result);
    return true;
  }

  /** Throws what keeps a plugin from attaching containers now; before version 1.1 none can say. */
  async status(network: NetworkConfig): Promise<void> {
    if (!knows(network.cniVersion, 'status')) return;
    for (const plugin of network.plugins) await this.#run('STATUS', network, plugin);
  }

  /**
   * Lets plugins give back what they hold for any but the given attachments. No attachment may come or go meanwhile. Every plugin has
   * its turn; throws what went wrong afterwards.
   */
  async collect(network: NetworkConfig, valid: readonly Attachment[]): Promise<void> {
    if (network.disableGC || !knows(network.cniVersion, 'gc')) return;
    const attachments = valid.map(({ containerId, interfaceName }) => ({
      containerID: containerId,
      ifname: interfaceName,
    }));
    const errors: unknown[] = [];
    for (const plugin of network.plugins) {
      // The specification once had the second name, and plugins may look for it.
      const keys = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments };
      await this.#run('GC', network, plugin, keys).catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) throw errors.length > 1 ? new AggregateError(errors, errors.join('; ')) : errors[0];
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

  #attached(
    command: Command,
    network: NetworkConfig,
    plugin: PluginConfig,
    attachment: Attachment,
    prevResult: NetworkResult | undefined,
  ): Promise<string> {
    const capable = argumentsOf(plugin, attachment);
    const more = {
      ...(capable.length > 0 ? { runtimeConfig: Object.fromEntries(capable) } : {}),
      ...(prevResult ? { prevResult } : {}),
    };
    const pairs = Object.entries(attachment.arguments).map(([key, value]) => `${key}=${value}`);
    return this.#run(command, network, plugin, more, {
      CNI_CONTAINERID: attachment.containerId,
      CNI_NETNS: attachment.netns,
      CNI_IFNAME: attachment.interfaceName,
      CNI_ARGS: pairs.join(';'),
    });
  }

  async #run(
    command: Command,
    network: NetworkConfig,
    plugin: PluginConfig,
    more: Record<string, unknown> = {},
    env: Record<string, string> = {},
  ): Promise<string> {
    const { capabilities: _, [onlyWithArguments]: __, ...config } = plugin;
    const input = { ...config, cniVersion: network.cniVersion, name: network.name, ...more };
    const { code, stdout, stderr } = await this.#execute(command, plugin.type, input, env);
    if (code === 0) return stdout;
    throw new StatusError(
      'ServiceUnavailable',
      `plugin type="${plugin.type}" failed (${command.toLowerCase()}): ${words(stdout, stderr)}`,
    );
  }

  #execute(command: Command, type: string, input: unknown, env: Record<string, string>): Promise<CommandResult> {
    return tryCommand(this.#find(type), [], {
      input: JSON.stringify(input),
      timeoutMs: this.deps.timeoutMs,
      env: { CNI_COMMAND: command, CNI_PATH: this.deps.binDirectories.join(':'), ...env },
    });
  }
}

/** The plugins that have something to do for an attachment. */
function concerned(network: NetworkConfig, attachment: Attachment): PluginConfig[] {
  return network.plugins.filter(
    plugin => plugin[onlyWithArguments] !== true || argumentsOf(plugin, attachment).length > 0,
  );
}

/** What an attachment has for the capabilities that a plugin declares. */
function argumentsOf(plugin: PluginConfig, { runtimeConfig }: Attachment): [capability: string, value: unknown][] {
  return Object.entries(runtimeConfig).filter(([capability]) => plugin.capabilities?.[capability]);
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
