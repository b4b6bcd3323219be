import { compileLabelSelector, type LabelMatcher, type LabelSelector } from '@naru/api';
import type { IpFamily } from '../desired/ip-family';
import { addressType } from '../modes/nftables/skeleton';
import { shortHash } from '../modes/short-hash';
import type { PolicyPod } from './policy-pod';

/** Pods that a policy means, and what of them: their addresses, or where a port of theirs with a name is. */
export interface PodGroupSpec {
  /** The pods of this namespace; absent: of those that `namespaceSelector` selects. */
  namespace?: string;
  namespaceSelector?: LabelSelector;
  podSelector: LabelSelector;
  port?: { name: string; protocol: string };
}

/** The addresses of one set in the kernel: `IP`, or `IP . PROTOCOL . PORT` for a port with a name. */
export class PodGroup {
  readonly name: string;
  /** How many pods contribute an element: an address may pass from one pod to the next before the first is forgotten. */
  private readonly counts = new Map<string, number>();
  private readonly contributed = new Map<string, string[]>();
  private readonly podMatches: LabelMatcher;
  private readonly namespaceMatches: LabelMatcher;
  private snapshot: ReadonlyMap<string, string> | undefined;

  constructor(
    readonly spec: PodGroupSpec,
    private readonly family: IpFamily,
  ) {
    this.name = groupName(spec);
    this.podMatches = compileLabelSelector(spec.podSelector);
    this.namespaceMatches = compileLabelSelector(spec.namespaceSelector);
  }

  get type(): string {
    const address = addressType[this.family];
    return this.spec.port ? `${address} . inet_proto . inet_service` : address;
  }

  /** As nft's sets have them, without values. The same object until something changes. */
  get elements(): ReadonlyMap<string, string> {
    this.snapshot ??= new Map([...this.counts.keys()].map(element => [element, '']));
    return this.snapshot;
  }

  /** The pod is there, or is something else than before. `namespaceLabels` are undefined when nobody knows the namespace. */
  set(pod: PolicyPod, namespaceLabels: Readonly<Record<string, string>> | undefined): void {
    const elements = this.has(pod, namespaceLabels) ? this.elementsOf(pod) : [];
    const before = this.contributed.get(pod.key) ?? [];
    if (elements.length === before.length && elements.every((element, index) => element === before[index])) return;
    for (const element of elements) this.counts.set(element, (this.counts.get(element) ?? 0) + 1);
    this.forget(before);
    if (elements.length > 0) this.contributed.set(pod.key, elements);
    else this.contributed.delete(pod.key);
    this.snapshot = undefined;
  }

  delete(key: string): void {
    const before = this.contributed.get(key);
    if (!before) return;
    this.contributed.delete(key);
    this.forget(before);
    this.snapshot = undefined;
  }

  private forget(elements: readonly string[]): void {
    for (const element of elements) {
      const left = (this.counts.get(element) ?? 1) - 1;
      if (left > 0) this.counts.set(element, left);
      else this.counts.delete(element);
    }
  }

  private has(pod: PolicyPod, namespaceLabels: Readonly<Record<string, string>> | undefined): boolean {
    const { namespace } = this.spec;
    if (namespace !== undefined ? namespace !== pod.namespace : !namespaceLabels) return false;
    return (namespace !== undefined || this.namespaceMatches(namespaceLabels)) && this.podMatches(pod.labels);
  }

  private elementsOf({ ips, namedPorts }: PolicyPod): string[] {
    const { port } = this.spec;
    if (!port) return [...ips];
    const numbers = namedPorts.filter(({ name, protocol }) => name === port.name && protocol === port.protocol);
    return ips.flatMap(ip => numbers.map(({ protocol, port: number }) => `${ip} . ${protocol} . ${number}`));
  }
}

/** The same for specifications that mean the same pods: policies share sets. */
export function groupName(spec: PodGroupSpec): string {
  return `pods-${shortHash(canonical(spec), 16)}`;
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
