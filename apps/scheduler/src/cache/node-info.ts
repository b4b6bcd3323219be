import { resourceAmounts, type HostPort, type Node, type Stored } from '@naru/api';
import { toResources, type PodInfo, type Resources } from './pod-info';

const anyAddress = '0.0.0.0';

/** A node and what runs or is about to run on it; kept up to date by each pod that comes and goes. */
export class NodeInfo {
  node: Stored<Node> | undefined;
  allocatable: Resources = { cpu: 0, memory: 0, ephemeralStorage: 0, scalars: undefined };
  allowedPods = 0;
  readonly pods = new Map<string, PodInfo>();
  readonly requested: Resources = { cpu: 0, memory: 0, ephemeralStorage: 0, scalars: undefined };
  nonZeroCpu = 0;
  nonZeroMemory = 0;
  /** "TCP/80" → address → how many pods hold it. */
  private readonly ports = new Map<string, Map<string, number>>();

  constructor(readonly name: string) {}

  setNode(node: Stored<Node>): void {
    this.node = node;
    const amounts = resourceAmounts(node.status?.allocatable ?? node.status?.capacity);
    this.allocatable = toResources(amounts);
    this.allowedPods = amounts.get('pods') ?? 0;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.node?.metadata.labels ?? {};
  }

  addPod(info: PodInfo): void {
    this.pods.set(info.uid, info);
    this.account(info, 1);
  }

  removePod(uid: string): PodInfo | undefined {
    const info = this.pods.get(uid);
    if (!info) return undefined;
    this.pods.delete(uid);
    this.account(info, -1);
    return info;
  }

  /** A port is taken by the same address, or by either side meaning all addresses. */
  hasPortConflict(wanted: readonly HostPort[]): boolean {
    return wanted.some(({ protocol, port, ip }) => {
      const taken = this.ports.get(`${protocol}/${port}`);
      return taken !== undefined && (ip === anyAddress || taken.has(anyAddress) || taken.has(ip));
    });
  }

  private account(info: PodInfo, sign: 1 | -1): void {
    const { requests } = info;
    this.requested.cpu += sign * requests.cpu;
    this.requested.memory += sign * requests.memory;
    this.requested.ephemeralStorage += sign * requests.ephemeralStorage;
    this.nonZeroCpu += sign * info.nonZeroCpu;
    this.nonZeroMemory += sign * info.nonZeroMemory;
    for (const [name, amount] of requests.scalars ?? []) {
      const scalars = (this.requested.scalars ??= new Map());
      scalars.set(name, (scalars.get(name) ?? 0) + sign * amount);
    }
    for (const hostPort of info.hostPorts) this.accountPort(hostPort, sign);
  }

  private accountPort({ protocol, ip, port }: HostPort, sign: 1 | -1): void {
    const key = `${protocol}/${port}`;
    const taken = this.ports.get(key) ?? new Map<string, number>();
    const count = (taken.get(ip) ?? 0) + sign;
    if (count > 0) taken.set(ip, count);
    else taken.delete(ip);
    if (taken.size > 0) this.ports.set(key, taken);
    else this.ports.delete(key);
  }
}
