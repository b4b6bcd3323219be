import { namespaces, pods, type Pod } from '@naru/api';
import { createMetrics, silentLogger, systemClock } from '@naru/foundation';
import { MemoryObjects } from '@naru/testing';
import { ipFamilies } from '../desired/ip-family';
import { createPolicyMetrics } from '../network-policy/metrics';
import { PolicyEnforcer, type PolicyEnforcerDeps } from '../network-policy/policy-enforcer';
import type { Place } from './network-lab';
import type { TestCluster } from './test-cluster';

/** A pod as its kubelet reports it; without addresses it is not wired yet. */
export function policyPod(name: string, namespace: string, nodeName: string, ips: readonly string[]): Pod {
  const ports = [
    { name: 'http', containerPort: 8080 },
    { name: 'metrics', containerPort: 9090 },
  ];
  const [podIP] = ips;
  return {
    metadata: { name, namespace, uid: `uid-${name}`, labels: { app: name } },
    spec: { nodeName, containers: [{ name: 'c', image: 'i', ports }] },
    status: { phase: 'Running', ...(podIP === undefined ? {} : { podIP, podIPs: ips.map(ip => ({ ip })) }) },
  };
}

/**
 * NetworkPolicies on the first node of a cluster: its pods are `web` and `client` on that node, and `remote` on the other one and in
 * another namespace. Each has the addresses that `ipsOf` names.
 */
export class PolicyBench {
  readonly api = new MemoryObjects();
  readonly enforcer: PolicyEnforcer;
  private readonly informers = this.api.informers();
  private readonly stopping = new AbortController();

  constructor(
    private readonly cluster: TestCluster,
    options: Partial<Pick<PolicyEnforcerDeps, 'network' | 'runtimeEndpoint'>> = {},
  ) {
    this.enforcer = new PolicyEnforcer({
      ...{ network: undefined, runtimeEndpoint: '', ...options },
      nodeName: 'node-1',
      families: ipFamilies,
      run: cluster.lab.node(1).run,
      informers: this.informers,
      metrics: createPolicyMetrics(createMetrics()),
      clock: systemClock,
      logger: silentLogger,
      minSyncPeriodMs: 5,
      fullSyncPeriodMs: 3_600_000,
    });
  }

  async start(ipsOf: (pod: Place) => readonly string[]): Promise<void> {
    const { api } = this;
    const [web, client, remote] = this.cluster.pods.map(ipsOf) as [string[], string[], string[]];
    await api.create(namespaces, { metadata: { name: 'default', labels: { team: 'own' } } });
    await api.create(namespaces, { metadata: { name: 'other', labels: { team: 'other' } } });
    await api.create(pods, policyPod('web', 'default', 'node-1', web));
    await api.create(pods, policyPod('client', 'default', 'node-1', client));
    await api.create(pods, policyPod('remote', 'other', 'node-2', remote));
    await this.informers.start(this.stopping.signal);
    this.enforcer.start();
  }

  async close(): Promise<void> {
    this.stopping.abort();
    await this.enforcer.stop();
  }
}
