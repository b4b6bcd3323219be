import { hostPort } from '@naru/foundation';
import { isWithin, type IpFamily } from '../../desired/ip-family';
import { endpointsFor, outsideIps, type Policy, type ServicePort } from '../../desired/service-port';
import { holdExactly } from '../../held-addresses';
import { listenPatiently, type PatientListener } from '../../patient-listener';
import { nodeIpsOf, readLinks } from '../ipvs/kernel';
import type { ModeDeps, ProxyMode, RuleSync, Update } from '../mode';
import { Balancer } from './balancer';
import type { Listener } from './listener';
import { listenTcp } from './tcp-listener';
import { listenUdp } from './udp-listener';

/**
 * No rules at all: this process listens on the addresses of Services and joins connections. For machines whose kernel may not be given
 * rules; endpoints see this node as their client.
 */
export const userspace: ProxyMode = {
  name: 'userspace',
  async probe(run) {
    try {
      await run('ip', ['-json', 'addr', 'show', 'dev', 'lo']);
      return [];
    } catch {
      return ['the program ip (Debian: apt install iproute2)'];
    }
  },
  build: deps => new UserspaceSync(deps),
};

const everywhere: Readonly<Record<IpFamily, string>> = { IPv4: '0.0.0.0', IPv6: '::' };

interface Place {
  listener: PatientListener<Listener>;
  balancer: Balancer;
  /** What it was made for; the rest is changed without a new socket. */
  port: ServicePort;
}

class UserspaceSync implements RuleSync {
  private readonly ports = new Map<string, ServicePort>();
  /** By `tcp 10.96.0.10:80`; their addresses are on the loopback interface. */
  private readonly places = new Map<string, Place>();

  constructor(private readonly deps: ModeDeps) {}

  async sync(update: Update): Promise<void> {
    if (update.full) {
      this.ports.clear();
      for (const port of update.ports()) this.ports.set(port.name, port);
    } else {
      for (const { before, after } of update.changes) {
        if (before) this.ports.delete(before.name);
        if (after) this.ports.set(after.name, after);
      }
    }
    const list = [...this.ports.values()].filter(({ protocol }) => protocol !== 'sctp');
    const addresses = new Set(list.flatMap(port => [port.clusterIp, ...outsideIps(port)]));
    await this.setAddresses(addresses);
    const nodeIps = await this.nodePortIps(addresses);
    const wanted = new Map(list.flatMap(port => placesOf(port, nodeIps).map(place => [place.key, place] as const)));
    for (const [key, { listener }] of this.places) {
      if (wanted.has(key)) continue;
      this.places.delete(key);
      await listener.close();
    }
    for (const place of wanted.values()) await this.setPlace(place);
  }

  async cleanup(): Promise<void> {
    for (const { listener } of this.places.values()) await listener.close();
    this.places.clear();
    this.ports.clear();
    await this.setAddresses(new Set());
  }

  private async setPlace({ key, address, number, policy, port }: WantedPlace): Promise<void> {
    const endpoints = endpointsFor(port, policy);
    const present = this.places.get(key);
    if (present) {
      present.port = port;
      present.balancer.set(endpoints, port.affinitySeconds);
      present.listener.current()?.forget(endpoint => !present.balancer.has(endpoint));
      return;
    }
    const scheduler = this.deps.config.ipvsScheduler ?? 'rr';
    const balancer = new Balancer({ scheduler, address, now: Date.now });
    balancer.set(endpoints, port.affinitySeconds);
    const listen = port.protocol === 'udp' ? listenUdp : listenTcp;
    const admits = (client: string): boolean => isAdmitted(this.places.get(key)?.port ?? port, address, client);
    const { logger } = this.deps;
    const listener = await listenPatiently({
      listen: () => listen({ address, port: number, balancer, admits }),
      // Somebody else has the port; the other Services are served all the same.
      onFailure: (err, retryInMs) =>
        logger.error({ err, service: port.name, address, port: number, retryInMs }, 'cannot listen for a Service'),
    });
    this.places.set(key, { listener, balancer, port });
  }

  /** Where node ports are listened on; the addresses of Services are this node's too, and none of them. */
  private async nodePortIps(ofServices: ReadonlySet<string>): Promise<string[]> {
    const { run, config } = this.deps;
    if (!config.nodePortAddresses) return [everywhere[config.family]];
    return nodeIpsOf(await readLinks(run), config).filter(ip => !ofServices.has(ip));
  }

  private async setAddresses(wanted: ReadonlySet<string>): Promise<void> {
    // 127.0.0.0/8 is this machine's anyway, and so is ::1.
    const others = [...wanted].filter(address => !address.startsWith('127.') && address !== '::1');
    await holdExactly(this.deps.run, new Set(others), { link: 'lo', family: this.deps.config.family });
  }
}

interface WantedPlace {
  key: string;
  address: string;
  number: number;
  policy: Policy;
  port: ServicePort;
}

function placesOf(port: ServicePort, nodeIps: readonly string[]): WantedPlace[] {
  const at = (address: string, number: number, policy: Policy): WantedPlace => ({
    key: `${port.protocol} ${hostPort(address, number)}`,
    address,
    number,
    policy,
    port,
  });
  const places = [at(port.clusterIp, port.port, port.internalPolicy)];
  for (const ip of outsideIps(port)) places.push(at(ip, port.port, port.externalPolicy));
  const { nodePort } = port;
  if (nodePort !== undefined) places.push(...nodeIps.map(ip => at(ip, nodePort, port.externalPolicy)));
  return places;
}

function isAdmitted({ sourceRanges, loadBalancerIps }: ServicePort, address: string, client: string): boolean {
  if (sourceRanges.length === 0 || !loadBalancerIps.includes(address)) return true;
  return isWithin(client, sourceRanges);
}
