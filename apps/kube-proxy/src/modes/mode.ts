import type { Logger } from '@naru/foundation';
import type { CommandRunner } from '../command';
import type { IpFamily } from '../desired/ip-family';
import type { Scheduler } from './ipvs/virtual-server';
import type { PortChange, ServicePort } from '../desired/service-port';

export type ModeName = 'iptables' | 'nftables' | 'ipvs' | 'userspace';

/** What rules depend on besides Services; the same for the life of a process. */
export interface RuleConfig {
  /** Of the rules: each family has its own. */
  family: IpFamily;
  /** The pods' addresses of the family, such as 10.244.0.0/16. Absent: nobody knows who is a pod, and nothing counts as one. */
  clusterCidr: string | undefined;
  /** Node ports answer on this node's addresses in these ranges. Absent: on all of them. */
  nodePortAddresses?: readonly string[];
  /** How the modes ipvs and userspace balance; default rr. */
  ipvsScheduler?: Scheduler;
}

/** `full`: make the rules say exactly this, whatever they say now. Else: these are the differences to the last sync. */
export type Update =
  { full: true; ports: () => Iterable<ServicePort> } | { full: false; changes: readonly PortChange[] };

/** Rules of the kernel that follow the desired state. Calls must not overlap. After a failure the next one must be full. */
export interface RuleSync {
  sync(update: Update): Promise<void>;
  /** Removes all of ours, also what an earlier process left, and nothing of others. Harmless when there is nothing. */
  cleanup(): Promise<void>;
}

export interface ModeDeps {
  run: CommandRunner;
  config: RuleConfig;
  logger: Logger;
}

/** One way of telling the kernel. */
export interface ProxyMode {
  readonly name: ModeName;
  /** Tries what the mode needs, without changing anything, and answers what is missing: for people to read. */
  probe(run: CommandRunner, config: RuleConfig): Promise<string[]>;
  build(deps: ModeDeps): RuleSync;
}

/** The bit of the packet mark that asks for masquerade; upstream's default (--iptables-masquerade-bit=14). */
export const masqueradeMark = '0x4000';

/**
 * The rules' answer to route_localnet, which the plugin portmap sets on the link of a pod with host ports: a program of the node that
 * listens on a loopback address counts on being asked by the node alone. As kubelet's KUBE-FIREWALL; IPv6 has no such setting.
 */
export const localnet = '127.0.0.0/8';
