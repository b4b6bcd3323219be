import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '@naru/foundation';
import { addressAt, hostOffset, ipv6Of, type IpFamilySetting } from './address';

/** What a user decides about a cluster once; written to cluster.json at the first `up`. */
export interface ClusterSettings {
  name: string;
  /** Added to every port of the control plane, so that clusters can run beside each other. */
  portOffset: number;
  /** The network between the nodes; the machine has its first address. */
  nodeCidr: string;
  /** Which addresses nodes, pods and Services have. The nodes have IPv4 addresses in any case: processes meet by these. */
  ipFamily: IpFamilySetting;
  /** A range of each family, with a comma between. */
  clusterCidr: string;
  serviceCidr: string;
  /** The zone of the cluster DNS. */
  clusterDomain: string;
  proxyMode: string;
  podNetwork: string;
  /** Whether our processes enforce NetworkPolicies; a network that is put in place of ours may do so itself. */
  networkPolicy: boolean;
  /** Processes of the cluster DNS. One by default: each takes some 60 MB, and is back within a second when it is killed. */
  dnsReplicas: number;
  /** For `kubectl top` and autoscaling. */
  metricsServer: boolean;
}

/** A process of the cluster DNS: the first is `dns`, then `dns-2` and so on. */
export interface DnsReplica {
  name: string;
  /** UDP and TCP. */
  port: number;
  /** Health and metrics. */
  metricsPort: number;
}

/** Ports of the replicas follow each other; there is room for so many. */
export const maxDnsReplicas = 9;

const [ipv4, ipv6] = [
  { clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' },
  { clusterCidr: 'fd00:10:244::/56', serviceCidr: 'fd00:10:96::/112' },
];

/** The ranges of pods and Services where nobody chooses others. */
export const defaultRanges: Record<IpFamilySetting, typeof ipv4> = {
  ipv4,
  ipv6,
  dual: {
    clusterCidr: `${ipv4.clusterCidr},${ipv6.clusterCidr}`,
    serviceCidr: `${ipv4.serviceCidr},${ipv6.serviceCidr}`,
  },
};

export const defaultSettings: Omit<ClusterSettings, 'name'> = {
  portOffset: 0,
  nodeCidr: '10.95.0.0/24',
  ipFamily: 'ipv4',
  ...defaultRanges.ipv4,
  clusterDomain: 'cluster.local',
  proxyMode: 'nftables',
  podNetwork: 'vxlan',
  networkPolicy: true,
  dnsReplicas: 1,
  metricsServer: true,
};

/** Where everything of a cluster is, derived from its settings and nothing else. */
export class Cluster {
  readonly name: string;
  /** State that a reboot loses: sockets, pid files. */
  readonly run: string;
  /** State that survives: database, certificates, nodes, logs. */
  readonly data: string;
  /** What nodes are to add to their kubelet's configuration; there when somebody has asked for it. */
  readonly kubeletConfig: string;
  /** How nodes are to reach registries, likewise. */
  readonly registryConfig: string;
  readonly hostAddress: string;
  readonly ports: Record<
    'api' | 'grpc' | 'nats' | 'scheduler' | 'controllerManager' | 'hollow' | 'metrics' | 'metricsHealth',
    number
  >;

  constructor(readonly settings: ClusterSettings) {
    const { name, portOffset, nodeCidr } = settings;
    this.name = name;
    this.run = `/run/naru-${name}`;
    this.data = `/var/lib/naru/${name}`;
    this.kubeletConfig = path.join(this.data, 'kubelet-config.yaml');
    this.registryConfig = path.join(this.data, 'registries.json');
    this.hostAddress = addressAt(nodeCidr, hostOffset);
    this.ports = {
      api: 6443 + portOffset,
      grpc: 6444 + portOffset,
      nats: 4222 + portOffset,
      scheduler: 10259 + portOffset,
      controllerManager: 10257 + portOffset,
      hollow: 10262 + portOffset,
      metrics: 4443 + portOffset,
      metricsHealth: 10263 + portOffset,
    };
  }

  /** The IPv4 address of a node or of the machine, and the IPv6 one beside it where the cluster has such. */
  linkAddresses(address: string): string[] {
    const { ipFamily, nodeCidr } = this.settings;
    return ipFamily === 'ipv4' ? [address] : [address, ipv6Of(address, nodeCidr)];
  }

  /** Those of them that the Node shows, the main one first. */
  nodeIps(address: string): string[] {
    const all = this.linkAddresses(address);
    return this.settings.ipFamily === 'ipv6' ? all.slice(1) : all;
  }

  get dns(): DnsReplica[] {
    const { dnsReplicas, portOffset } = this.settings;
    return Array.from({ length: dnsReplicas }, (_, i) => ({
      name: i === 0 ? 'dns' : `dns-${i + 1}`,
      port: 10053 + portOffset + i,
      metricsPort: 9153 + portOffset + i,
    }));
  }

  get services(): string {
    return path.join(this.run, 'services');
  }

  get logs(): string {
    return path.join(this.data, 'logs');
  }

  get kubeconfig(): string {
    return path.join(this.data, 'kubeconfig');
  }

  pki(...parts: string[]): string {
    return path.join(this.data, 'pki', ...parts);
  }

  /** Unpacked images, shared by the nodes of this machine. */
  get images(): string {
    return path.join(this.data, 'images');
  }
}

/** What is waited for of nodes: without a pod network, which is the user's to bring, they cannot be Ready. */
export function readiness({ settings }: Cluster): string {
  return settings.podNetwork === 'none' ? 'up, and Ready as soon as they have a pod network' : 'Ready';
}

const namePattern = /^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/;

/** Throws when the name cannot be part of paths, cgroups and network namespaces. */
export function checkName(what: string, name: string): string {
  if (!namePattern.test(name))
    throw new Error(`${what} "${name}" must be 1 to 22 lower-case letters, digits and dashes, starting with a letter`);
  return name;
}

/** A DNS name, as all that stands before it must fit in 253 characters too. Throws a UsageError that names the flag. */
export function checkDomain(flag: string, domain: string): string {
  const label = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
  if (domain.length > 128 || !new RegExp(`^${label}(\\.${label})*$`).test(domain))
    throw new UsageError(
      `flag --${flag}: "${domain}" is no DNS name of at most 128 lower-case letters, digits, dashes and dots`,
    );
  return domain;
}

function settingsFile(name: string): string {
  return path.join('/var/lib/naru', name, 'cluster.json');
}

/** The cluster as it was set up, or undefined when there has been no `up` yet. */
export function loadCluster(name: string): Cluster | undefined {
  const file = settingsFile(checkName('cluster name', name));
  if (!existsSync(file)) return undefined;
  return new Cluster({ ...defaultSettings, ...(JSON.parse(readFileSync(file, 'utf8')) as ClusterSettings) });
}

/** As `loadCluster`; throws with what to do when there is none. */
export function requireCluster(name: string): Cluster {
  const cluster = loadCluster(name);
  if (!cluster) throw new Error(`there is no cluster "${name}" on this machine: start it with ./naru up`);
  return cluster;
}

export function saveCluster(cluster: Cluster): void {
  mkdirSync(cluster.data, { recursive: true, mode: 0o700 });
  writeJson(settingsFile(cluster.name), cluster.settings);
}

/** Replaces a JSON file as a whole: a reader sees the old or the new content. */
export function writeJson(file: string, content: unknown): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.new`;
  writeFileSync(temporary, `${JSON.stringify(content, null, 2)}\n`);
  renameSync(temporary, file);
}
