import { silentLogger, systemClock, type Logger } from '@naru/foundation';
import { eventually } from '@naru/testing';
import path from 'node:path';
import pino from 'pino';
import type { Endpoint, PortChange, ServicePort } from '../desired/service-port';
import { samePort } from '../desired/service-port';
import { ipFamilies, type IpFamily } from '../desired/ip-family';
import type { ProxyMode, RuleConfig, RuleSync } from '../modes/mode';
import { PodNetwork, type BackendName } from '../pod-network/pod-network';
import { labAddresses, type LabAddresses } from './lab-addresses';
import { NetworkLab, type LabNode, type Place } from './network-lab';
import { aPort } from './ports';

/**
 * Nodes with a pod network and pods on them; the rules of a mode are those of node 1, which has the pods 0 and 1. The
 * others are on node 2. All pods serve port 8080.
 */
export interface TestCluster {
  readonly addresses: LabAddresses;
  /** From now on everything is asked, and the rules are made, with this family; what rules there are stay. */
  use(family: IpFamily): void;
  /** Those of any mode, in node 1, apart from the cluster's own. */
  rulesOf(mode: ProxyMode): RuleSync;
  lab: NetworkLab;
  pods: Place[];
  networks: PodNetwork[];
  /** Makes the rules say `ports`, by the differences to what they said before. */
  sync(ports: ServicePort[]): Promise<void>;
  syncFull(): Promise<void>;
  /** As if the process had ended and come again. */
  restart(config?: Partial<Omit<RuleConfig, 'family'>>): void;
  cleanup(): Promise<void>;
  /** What a mode has complained of so far. */
  warnings: string[];
  close(): Promise<void>;
}

export function nodeObject(node: LabNode, index: number): Parameters<PodNetwork['setNode']>[0] {
  return {
    metadata: { name: node.name },
    spec: { podCIDRs: ipFamilies.map(family => labAddresses[family].podCidr(index)) },
    status: { addresses: [node.ipv4, node.ipv6].map(address => ({ type: 'InternalIP', address })) },
  };
}

export function startPodNetwork(known: LabNode[], node: LabNode, backend: BackendName, mode: ProxyMode): PodNetwork {
  const network = new PodNetwork({
    config: {
      backend,
      mode: mode.name,
      nodeName: node.name,
      nodeIps: [node.ipv4, node.ipv6],
      clusterCidrs: ipFamilies.map(family => labAddresses[family].clusterCidr),
      cniConfDir: path.join(node.dir, 'net.d'),
      cniStateDir: path.join(node.dir, 'cni'),
      vxlan: { id: 1, port: 8472 },
    },
    run: node.run,
    clock: systemClock,
    logger: silentLogger,
    fullSyncPeriodMs: 3_600_000,
  });
  known.forEach((other, at) => network.setNode(nodeObject(other, at + 1)));
  network.start();
  return network;
}

export async function setUpCluster(
  mode: ProxyMode,
  { nodes, backend, family = 'IPv4' }: { nodes: number; backend: BackendName; family?: IpFamily },
): Promise<TestCluster> {
  const lab = await NetworkLab.create(nodes, family);
  const networks = lab.nodes.map(node => startPodNetwork(lab.nodes, node, backend, mode));
  const close = async (): Promise<void> => {
    await Promise.all(networks.map(network => network.stop()));
    await lab.close();
  };
  const pods: Place[] = [];
  try {
    for (const network of networks) await eventually(() => network.checkReady());
    for (const at of [1, 1, 2]) {
      const pod = await lab.addPod(lab.node(at));
      await lab.serve(pod, 8080, `pod-${pods.length}`);
      pods.push(pod);
    }
  } catch (error) {
    // Nobody else has the lab yet.
    await close();
    throw error;
  }
  const warnings = recordWarnings();
  const build = (config: Partial<Omit<RuleConfig, 'family'>> = {}, by = mode): RuleSync =>
    by.build({
      run: lab.node(1).run,
      config: { family: lab.family, clusterCidr: labAddresses[lab.family].clusterCidr, ...config },
      logger: warnings.logger,
    });
  let rules = build();
  let known: Map<string, ServicePort> | undefined;
  return {
    get addresses() {
      return labAddresses[lab.family];
    },
    use(other) {
      lab.family = other;
      rules = build();
      known = undefined;
    },
    rulesOf: other => build({}, other),
    lab,
    pods,
    networks,
    async sync(ports) {
      const wanted = new Map(ports.map(port => [port.name, port]));
      if (!known) await rules.sync({ full: true, ports: () => ports });
      else await rules.sync({ full: false, changes: differences(known, wanted) });
      known = wanted;
    },
    async syncFull() {
      await rules.sync({ full: true, ports: () => known?.values() ?? [] });
    },
    restart(config) {
      rules = build(config);
      known = undefined;
    },
    async cleanup() {
      await rules.cleanup();
      known = undefined;
    },
    warnings: warnings.messages,
    close,
  };
}

function recordWarnings(): { logger: Logger; messages: string[] } {
  const messages: string[] = [];
  const stream = { write: (line: string): void => void messages.push(line) };
  return { logger: pino({ level: 'warn' }, stream), messages };
}

function differences(before: Map<string, ServicePort>, after: Map<string, ServicePort>): PortChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap(name => {
    const change = { before: before.get(name), after: after.get(name) };
    const same = change.before && change.after && samePort(change.before, change.after);
    return same ? [] : [change];
  });
}

/** Pods by index as endpoints, as seen from a node of the lab. */
export function endpointsOfPods({ pods }: TestCluster, seenFrom: number, indices = [0, 1, 2]): Endpoint[] {
  return indices.map(index => ({
    address: pods[index]?.ip ?? '',
    port: 8080,
    local: (index < 2 ? 1 : 2) === seenFrom,
  }));
}

/** A port that all pods serve, as node 1 sees it. */
export function forwardedPort(cluster: TestCluster, overrides: Partial<ServicePort>): ServicePort {
  return aPort({ clusterEndpoints: endpointsOfPods(cluster, 1), ...overrides });
}
