import { existsSync } from 'node:fs';
import { systemClock, type Logger } from '@naru/foundation';
import { CommandError, type CommandRunner } from './command';
import { removeAnnounced } from './load-balancer/address-announcer';
import { cleanupPolicies } from './network-policy/policy-enforcer';
import { ipFamilies, type IpFamily } from './desired/ip-family';
import type { ModeName, ProxyMode, RuleConfig } from './modes/mode';
import { proxyModes } from './modes/registry';
import type { Options } from './options';
import { PodNetwork, type PodNetworkConfig } from './pod-network/pod-network';

/** The mode, when this machine can do it; else an error that says what is missing and what would do instead. */
export async function requireMode(name: ModeName, config: RuleConfig, run: CommandRunner): Promise<ProxyMode> {
  const mode = proxyModes.find(candidate => candidate.name === name);
  if (!mode) throw new Error(`there is no proxy mode ${name}`);
  const missing = await mode.probe(run, config);
  if (missing.length === 0) return mode;
  const others: string[] = [];
  for (const other of proxyModes) {
    if (other !== mode && (await other.probe(run, config)).length === 0) others.push(`--proxy-mode=${other.name}`);
  }
  const advice = others.length > 0 ? `; this machine can do ${others.join(', ')}` : '';
  throw new Error(`the proxy mode ${name} needs what is missing here: ${missing.join('; ')}${advice}`);
}

/**
 * The families that are to be served: the node's own, without which there is nothing, and the other where this machine can do it, as upstream.
 * Fails as requireMode when the first is wanting.
 */
export async function requireFamilies(
  name: ModeName,
  configs: readonly RuleConfig[],
  { nodeFamily, run, logger }: { nodeFamily: IpFamily; run: CommandRunner; logger: Logger },
): Promise<{ mode: ProxyMode; families: RuleConfig[] }> {
  const own = configs.find(({ family }) => family === nodeFamily);
  const others = configs.filter(config => config !== own);
  if (!own) throw new Error(`there is no configuration for ${nodeFamily}`);
  const mode = await requireMode(name, own, run);
  const families = [own];
  for (const config of others) {
    const { family } = config;
    const missing = hasFamily(family) ? await mode.probe(run, config) : [`${family} in the kernel`];
    if (missing.length === 0) families.push(config);
    else logger.info({ family, missing }, 'serving one family only: the other is not to be had here');
  }
  return { mode, families };
}

function hasFamily(family: IpFamily): boolean {
  return family === 'IPv4' || existsSync('/proc/net/if_inet6');
}

/** Rules that an earlier process made in another mode would answer for Services as they were then. */
export async function cleanupOtherModes(mode: ProxyMode, run: CommandRunner, logger: Logger): Promise<void> {
  for (const other of proxyModes) {
    if (other !== mode) await cleanupMode(other, run, logger);
  }
}

/** Removes the rules of every mode and both kinds of pod network, whatever the flags were that made them. */
export async function cleanupAll(options: Options, run: CommandRunner, logger: Logger): Promise<void> {
  for (const mode of proxyModes) await cleanupMode(mode, run, logger);
  await ignoringMissing(() => cleanupPolicies(run));
  await ignoringMissing(() => removeAnnounced(run));
  const base: PodNetworkConfig | undefined = options.podNetwork;
  if (!base) return;
  for (const { name: mode } of proxyModes) {
    // The device of vxlan goes with its backend; the routes of both are known by one mark.
    const network = new PodNetwork({
      config: { ...base, backend: 'vxlan', mode },
      run,
      clock: systemClock,
      logger,
      fullSyncPeriodMs: Infinity,
    });
    await ignoringMissing(() => network.cleanup());
  }
  logger.info('removed all rules, routes and devices');
}

async function cleanupMode(mode: ProxyMode, run: CommandRunner, logger: Logger): Promise<void> {
  for (const family of ipFamilies.filter(hasFamily)) {
    const config = { family, clusterCidr: undefined };
    await ignoringMissing(() => mode.build({ run, config, logger }).cleanup());
  }
}

/** Without the program there cannot be rules of it. */
async function ignoringMissing(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof CommandError && error.missing)) throw error;
  }
}
