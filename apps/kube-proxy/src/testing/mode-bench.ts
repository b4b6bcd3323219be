import assert from 'node:assert/strict';
import type { ServicePort } from '../desired/service-port';
import type { ProxyMode } from '../modes/mode';
import { tracesOf, type ModeTraces } from './mode-traces';
import type { AskOptions, Place } from './network-lab';
import { aPort } from './ports';
import { endpointsOfPods, type TestCluster } from './test-cluster';

export const everyPod: readonly string[] = ['pod-0', 'pod-1', 'pod-2'];

/**
 * All names that answer, sorted. nftables and iptables choose endpoints at random, and of three 40 questions miss one in one test of four
 * million: while one of `wanted` is missing, there are more.
 */
export async function answering(
  { name }: Pick<ProxyMode, 'name'>,
  wanted: readonly string[],
  ask: (times: number) => Promise<string[]>,
): Promise<string[]> {
  const isRandom = name === 'nftables' || name === 'iptables';
  const heard = new Set<string>();
  for (let round = 0; round < (isRandom ? 5 : 1); round++) {
    for (const each of await ask(isRandom ? 40 : 6)) heard.add(each);
    if (wanted.every(each => heard.has(each))) break;
  }
  return [...heard].sort();
}

/** A mode whose rules are those of node 1 of a cluster, and what is asked of it. */
export class ModeBench {
  constructor(
    readonly mode: ProxyMode,
    readonly cluster: TestCluster,
  ) {}

  /** Of the family that the cluster is used with now. */
  get traces(): ModeTraces {
    const { lab } = this.cluster;
    return tracesOf(this.mode.name, lab.node(1), lab.family);
  }

  get clusterIp(): string {
    return this.cluster.addresses.clusterIp(10);
  }

  /** A port at `clusterIp` that all pods serve, or those with these indices, with this port of theirs. */
  port(overrides: Partial<ServicePort> & { pods?: readonly number[]; podPort?: number } = {}): ServicePort {
    const { pods = [0, 1, 2], podPort: port = 8080, ...rest } = overrides;
    const clusterEndpoints = endpointsOfPods(this.cluster, 1, [...pods]).map(endpoint => ({ ...endpoint, port }));
    return aPort({ clusterIp: this.clusterIp, clusterEndpoints, ...rest });
  }

  /** One that no kernel takes. */
  refusedPort(): ServicePort {
    const clusterEndpoints = [{ address: this.cluster.pods[0]?.ip ?? '', port: 99_999, local: true }];
    return aPort({
      name: 'default/refused:/tcp/80',
      clusterIp: this.cluster.addresses.clusterIp(50),
      clusterEndpoints,
    });
  }

  ask(from: Place, ip: string, port: number, options?: AskOptions): Promise<{ name: string; client: string }> {
    return this.cluster.lab.ask(from, ip, port, options);
  }

  /** Exactly these answer. */
  async answer(names: readonly string[], from: Place, ip: string, port: number): Promise<void> {
    const ask = (times: number): Promise<string[]> => this.cluster.lab.names(from, ip, port, times);
    assert.deepEqual(await answering(this.mode, names, ask), names);
  }

  /** One of them answers, and it alone. */
  async oneAnswers(from: Place, ip: string, port: number): Promise<string> {
    const { name } = await this.ask(from, ip, port);
    assert.deepEqual(await this.cluster.lab.names(from, ip, port, 10), [name]);
    return name;
  }

  refused(from: Place, ip: string, port: number): Promise<void> {
    return assert.rejects(this.ask(from, ip, port), /refused/);
  }

  dropped(from: Place, ip: string, port: number): Promise<void> {
    return assert.rejects(this.ask(from, ip, port, { timeoutMs: 1_000 }), /timed out/i);
  }
}
