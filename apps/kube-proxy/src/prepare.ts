import { systemClock, type Logger } from '@naru/foundation';
import { CommandError, type CommandRunner } from './command';
import { removeAnnounced } from './load-balancer/address-announcer';
import { cleanupPolicies } from './network-policy/policy-enforcer';
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

/** Rules that an earlier process made in another mode would answer for Services as they were then. */
export async function cleanupOtherModes(mode: ProxyMode, run: CommandRunner, logger: Logger): Promise<void> {
  for (const other of proxyModes) {
    if (other !== mode)
      await ignoringMissing(() => other.build({ run, config: { clusterCidr: undefined }, logger }).cleanup());
  }
}

/** Removes the rules of every mode and both kinds of pod network, whatever the flags were that made them. */
export async function cleanupAll(options: Options, run: CommandRunner, logger: Logger): Promise<void> {
  const config = options.rules;
  for (const mode of proxyModes) await ignoringMissing(() => mode.build({ run, config, logger }).cleanup());
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

/** Without the program there cannot be rules of it. */
async function ignoringMissing(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof CommandError && error.missing)) throw error;
  }
}
