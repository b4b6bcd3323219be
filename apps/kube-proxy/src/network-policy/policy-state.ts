import type { Namespace, NetworkPolicy, Pod, Stored } from '@naru/api';
import { shortHash } from '../modes/short-hash';
import { compilePolicy, type CompiledPolicy, type Direction } from './compile-policy';
import { PodGroup, groupName } from './pod-group';
import { policyPodOf, type PolicyPod } from './policy-pod';
import type { NamedSet, RuleSet } from '../nft/rule-set';
import { fixedSets, type FixedSet } from './policy-table';
import { addressOf, isDefined, type IpFamily } from '../desired/ip-family';

type LabelMap = Readonly<Record<string, string>>;

/**
 * What this node's table of one family should say, from NetworkPolicies, Namespaces, all pods, and the addresses that the runtime has given to
 * this node's. Pods that the policies of this node do not mention cost a few comparisons each, and no rule.
 */
export class PolicyState {
  private readonly policies = new Map<string, CompiledPolicy>();
  private readonly namespaces = new Map<string, LabelMap>();
  private readonly pods = new Map<string, PolicyPod>();
  private readonly ownPods = new Map<string, PolicyPod>();
  private readonly groups = new Map<string, PodGroup>();
  /** Pod uid → addresses, from the runtime: known before the API hears of them. */
  private readonly sandboxes = new Map<string, readonly string[]>();
  private chains: ReadonlyMap<string, readonly string[]> = new Map();
  private fixed: ReadonlyMap<string, NamedSet> = new Map();
  private stale = true;

  constructor(private readonly deps: { nodeName: string; family: IpFamily }) {}

  get hasPolicies(): boolean {
    return this.policies.size > 0;
  }

  /** Throws when the policy cannot be understood; what it said before then still holds. */
  setPolicy(policy: Stored<NetworkPolicy>): void {
    const compiled = compilePolicy(policy, this.deps.family);
    this.policies.set(compiled.key, compiled);
    this.stale = true;
  }

  deletePolicy({ metadata }: Stored<NetworkPolicy>): void {
    this.policies.delete(`${metadata.namespace ?? ''}/${metadata.name}`);
    this.stale = true;
  }

  setNamespace({ metadata }: Stored<Namespace>): void {
    this.namespaces.set(metadata.name, metadata.labels ?? {});
    this.regroup(metadata.name);
  }

  deleteNamespace({ metadata }: Stored<Namespace>): void {
    this.namespaces.delete(metadata.name);
    this.regroup(metadata.name);
  }

  setPod(pod: Stored<Pod>): void {
    const seen = policyPodOf(pod, this.deps.family);
    const own = seen?.nodeName === this.deps.nodeName;
    // Pods elsewhere without an address of the family are nobody whom a rule could speak of.
    if (!seen || (!own && seen.ips.length === 0)) return this.deletePod(pod);
    const ips = own ? (this.sandboxes.get(seen.uid) ?? this.unclaimed(seen)) : seen.ips;
    const known = { ...seen, ips };
    this.pods.set(known.key, known);
    if (own) this.ownPods.set(known.key, known);
    else this.ownPods.delete(known.key);
    if (own) this.stale = true;
    this.enroll(known);
  }

  deletePod({ metadata }: Stored<Pod>): void {
    const key = `${metadata.namespace ?? ''}/${metadata.name}`;
    const pod = this.pods.get(key);
    if (pod) this.sandboxes.delete(pod.uid);
    this.pods.delete(key);
    if (this.ownPods.delete(key)) this.stale = true;
    for (const group of this.groups.values()) group.delete(key);
  }

  /** The runtime has given a pod of this node these addresses; none: it has taken them back. */
  setSandbox(uid: string, addresses: readonly string[]): void {
    const ips = addresses.map(ip => addressOf(ip, this.deps.family)).filter(isDefined);
    this.sandboxes.set(uid, ips);
    for (const pod of this.ownPods.values()) {
      if (pod.uid !== uid) continue;
      const known = { ...pod, ips };
      this.pods.set(pod.key, known);
      this.ownPods.set(pod.key, known);
      this.stale = true;
      this.enroll(known);
      return;
    }
  }

  /** The runtime does not know the pod any more. */
  forgetSandbox(uid: string): void {
    this.sandboxes.delete(uid);
  }

  get sandboxUids(): Iterable<string> {
    return this.sandboxes.keys();
  }

  /** The table as it should be; undefined when there is no policy in the whole cluster, and so nothing to enforce. */
  ruleSet(): RuleSet | undefined {
    if (!this.hasPolicies) return undefined;
    if (this.stale) this.rebuild();
    this.stale = false;
    const sets = new Map(this.fixed);
    for (const group of this.groups.values()) {
      sets.set(group.name, { kind: 'set', type: group.type, elements: group.elements });
    }
    return { sets, chains: this.chains };
  }

  /** An address that the API has heard of may already be another sandbox's. */
  private unclaimed({ uid, ips }: PolicyPod): string[] {
    const taken = new Set([...this.sandboxes].flatMap(([other, addresses]) => (other === uid ? [] : addresses)));
    return ips.filter(ip => !taken.has(ip));
  }

  private enroll(pod: PolicyPod): void {
    const labels = this.namespaces.get(pod.namespace);
    for (const group of this.groups.values()) group.set(pod, labels);
  }

  private regroup(namespace: string): void {
    for (const pod of this.pods.values()) if (pod.namespace === namespace) this.enroll(pod);
  }

  private rebuild(): void {
    const elements: Record<FixedSet, Map<string, string>> = {
      known: new Map(),
      itself: new Map(),
      ingress: new Map(),
      egress: new Map(),
    };
    const chains = new Map<string, readonly string[]>();
    const used = new Map<string, CompiledPolicy>();
    for (const pod of this.ownPods.values()) {
      for (const ip of pod.ips) elements.known.set(ip, '');
      const selecting: CompiledPolicy[] = [];
      for (const policy of this.policies.values()) {
        if (policy.namespace !== pod.namespace || !policy.selects(pod.labels)) continue;
        selecting.push(policy);
        used.set(policy.key, policy);
      }
      for (const direction of ['ingress', 'egress'] as const) {
        const chain = chainFor(direction, selecting);
        if (!chain) continue;
        chains.set(chain.name, chain.rules);
        for (const ip of pod.ips) {
          elements[direction].set(ip, `jump ${chain.name}`);
          elements.itself.set(`${ip} . ${ip}`, '');
        }
      }
    }
    this.chains = chains;
    this.fixed = new Map(
      Object.entries(fixedSets(this.deps.family)).map(([name, set]) => [
        name,
        { ...set, elements: elements[name as FixedSet] },
      ]),
    );
    this.keepGroups(used.values());
  }

  private keepGroups(policies: Iterable<CompiledPolicy>): void {
    const wanted = new Set<string>();
    for (const { ingress, egress } of policies) {
      for (const spec of [...(ingress?.groups ?? []), ...(egress?.groups ?? [])]) {
        const name = groupName(spec);
        wanted.add(name);
        if (this.groups.has(name)) continue;
        const group = new PodGroup(spec, this.deps.family);
        for (const pod of this.pods.values()) group.set(pod, this.namespaces.get(pod.namespace));
        this.groups.set(name, group);
      }
    }
    for (const name of this.groups.keys()) if (!wanted.has(name)) this.groups.delete(name);
  }
}

/** Pods that the same policies select share a chain. Undefined: no policy isolates in this direction. */
function chainFor(
  direction: Direction,
  selecting: readonly CompiledPolicy[],
): { name: string; rules: string[] } | undefined {
  const isolating = selecting.filter(policy => policy[direction]);
  if (isolating.length === 0) return undefined;
  const keys = isolating.map(({ key }) => key).sort();
  const matches = new Set(isolating.flatMap(policy => policy[direction]?.matches ?? []));
  const rules = [...matches].map(match => (match === '' ? 'return' : `${match} return`));
  return { name: `${direction}-${shortHash(keys.join(' '), 16)}`, rules: [...rules, 'drop'] };
}
