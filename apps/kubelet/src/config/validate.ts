import { isIP } from 'node:net';
import { quantityValue } from '@naru/api';
import { parseThresholds } from '../eviction/thresholds';
import { parseCpuSet } from '../topology/cpu-set';
import { reservedMemoryProblems } from '../topology/reserved-memory';
import { verificationPolicies } from '../images/pull-records';
import { parseDuration } from './duration';
import type { KubeletConfiguration } from './kubelet-configuration';

const enforceable = ['none', 'pods', 'system-reserved', 'kube-reserved'];
const choices: Record<string, string[]> = {
  cgroupDriver: ['cgroupfs', 'systemd'],
  cpuManagerPolicy: ['none', 'static'],
  memoryManagerPolicy: ['None', 'Static'],
  topologyManagerPolicy: ['none', 'best-effort', 'restricted', 'single-numa-node'],
  topologyManagerScope: ['container', 'pod'],
};
const cpuOptions = ['full-pcpus-only', 'strict-cpu-reservation', 'distribute-cpus-across-cores'];

/** What is wrong with a configuration, one sentence a field. Source: pkg/kubelet/apis/config/validation. */
export function validateConfiguration(configuration: KubeletConfiguration): string[] {
  const problems: string[] = [];
  const check = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(`invalid configuration: ${problem}`);
  };
  const percent = (value: number): boolean => value >= 0 && value <= 100;
  const { imageGCHighThresholdPercent: high, imageGCLowThresholdPercent: low } = configuration;
  check(percent(high), `imageGCHighThresholdPercent ${high} must be between 0 and 100, inclusive`);
  check(percent(low), `imageGCLowThresholdPercent ${low} must be between 0 and 100, inclusive`);
  check(low < high, `imageGCLowThresholdPercent ${low} must be less than imageGCHighThresholdPercent ${high}`);
  check(configuration.maxPods >= 0, `maxPods ${configuration.maxPods} must not be a negative number`);
  check(configuration.podsPerCore >= 0, `podsPerCore ${configuration.podsPerCore} must not be a negative number`);
  check(
    configuration.port >= 0 && configuration.port <= 65_535,
    `port ${configuration.port} must be between 0 and 65535`,
  );
  check(configuration.nodeLeaseDurationSeconds > 0, 'nodeLeaseDurationSeconds must be greater than 0');
  check(configuration.containerLogMaxFiles > 1, 'containerLogMaxFiles must be greater than 1');
  check(configuration.nodeStatusMaxImages >= -1, 'nodeStatusMaxImages must be -1 or greater');
  const { idsPerPod } = configuration.userNamespaces;
  check(
    idsPerPod > 0 && idsPerPod < 2 ** 32 && idsPerPod % 65_536 === 0,
    `userNamespaces.idsPerPod ${idsPerPod} must be a multiple of 65536`,
  );
  const { imagePullCredentialsVerificationPolicy: verification, preloadedImagesVerificationAllowlist } = configuration;
  check(
    verificationPolicies.includes(verification),
    `imagePullCredentialsVerificationPolicy "${verification}" must be one of ${verificationPolicies.join(', ')}`,
  );
  check(
    preloadedImagesVerificationAllowlist.length === 0 || verification === 'NeverVerifyAllowlistedImages',
    'preloadedImagesVerificationAllowlist can only be set with imagePullCredentialsVerificationPolicy NeverVerifyAllowlistedImages',
  );
  const restartPeriod = parseDuration(configuration.crashLoopBackOff.maxContainerRestartPeriod);
  check(
    restartPeriod >= 1_000 && restartPeriod <= 300_000,
    `crashLoopBackOff.maxContainerRestartPeriod (got: ${restartPeriod / 1_000} seconds) must be set between 1s and 300s`,
  );
  const { maxParallelImagePulls } = configuration;
  check(maxParallelImagePulls > 0, `maxParallelImagePulls ${maxParallelImagePulls} must be a positive number`);
  for (const name of ['tlsCertFile', 'tlsPrivateKeyFile']) check(configuration[name] !== '', `${name} is required`);
  for (const address of configuration.clusterDNS)
    check(isIP(address) !== 0, `clusterDNS "${address}" is not an IP address`);
  for (const name of configuration.enforceNodeAllocatable) {
    check(
      enforceable.includes(name),
      `option "${name}" specified for enforceNodeAllocatable; use ${enforceable.join(', ')}`,
    );
  }
  for (const [name, allowed] of Object.entries(choices)) {
    const value = configuration[name];
    check(
      value === undefined || allowed.includes(value as string),
      `${name} "${String(value)}" is not supported: use ${allowed.join(', ')}`,
    );
  }
  const { cpuManagerPolicyOptions } = configuration;
  for (const [name, value] of Object.entries(cpuManagerPolicyOptions)) {
    check(
      cpuOptions.includes(name),
      `cpuManagerPolicyOptions "${name}" is not supported: use ${cpuOptions.join(', ')}`,
    );
    check(['true', 'false'].includes(value), `cpuManagerPolicyOptions "${name}" must be true or false`);
  }
  check(
    cpuManagerPolicyOptions['full-pcpus-only'] !== 'true' ||
      cpuManagerPolicyOptions['distribute-cpus-across-cores'] !== 'true',
    'cpuManagerPolicyOptions "full-pcpus-only" and "distribute-cpus-across-cores" exclude each other',
  );
  check(
    Object.keys((configuration['topologyManagerPolicyOptions'] as object | undefined) ?? {}).length === 0,
    'topologyManagerPolicyOptions are not supported',
  );
  for (const problem of reservedMemoryProblems(configuration.reservedMemory)) check(false, problem);
  attempt(() => parseCpuSet(configuration.reservedSystemCPUs), 'reservedSystemCPUs');
  for (const name of ['systemReserved', 'kubeReserved'] as const) {
    for (const [resource, quantity] of Object.entries(configuration[name])) {
      attempt(() => quantityValue(quantity), `${name} "${resource}=${quantity}"`);
    }
  }
  attempt(() => quantityValue(configuration.containerLogMaxSize), 'containerLogMaxSize');
  for (const [signal, period] of Object.entries(configuration.evictionSoftGracePeriod)) {
    attempt(() => parseDuration(period), `evictionSoftGracePeriod "${signal}"`);
  }
  attempt(() => parseThresholds(configuration), 'eviction thresholds');
  return problems;

  function attempt(work: () => unknown, what: string): void {
    try {
      work();
    } catch (error) {
      problems.push(`invalid configuration: ${what}: ${(error as Error).message}`);
    }
  }
}
