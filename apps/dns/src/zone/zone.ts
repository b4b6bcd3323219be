import type { Service, Stored } from '@naru/api';
import { reverseKey, reverseZones } from '../wire/address';
import type { Answer, ResourceRecord } from '../wire/answer';
import { rcodes, types } from '../wire/codes';
import { isWithin, label, labelsOf, nameOf, type Name } from '../wire/name';
import { addressKey } from '../wire/address';
import { clusterIps, isHeadless, serviceNameLabel, type ClusterData } from './cluster-data';
import { addressRecord, nameRecord, soaRecord, srvRecord, textRecord } from './records';
import { endpointLabel, targetsOf, type Selection, type Target } from './service-targets';

/** Version of upstream's DNS specification that the records follow. */
const schemaVersion = '1.1.0';

/** Whose address `ns.dns` is: the Service in front of the servers of the zone. */
const dnsService = { namespace: 'kube-system', name: 'kube-dns' };

export type PodRecords = 'insecure' | 'verified' | 'disabled';

export interface ZoneOptions {
  data: ClusterData;
  /** "cluster.local" */
  domain: string;
  /** Seconds, of records and of "no such name". */
  ttl: number;
  /** insecure: 1-2-3-4.NS.pod has the address it names; verified: only when such a pod is there. */
  podRecords: PodRecords;
}

/** Records found, or the reason why there is none. */
type Found = { records: ResourceRecord[]; additional?: ResourceRecord[] } | 'no-name';

const noData: Found = { records: [] };

/** Clients ask again; "no such name" they would believe. */
const unknown: Answer = { rcode: rcodes.SERVFAIL, authoritative: false, answers: [], authority: [], additional: [] };

/**
 * The names of the cluster, made from the local copies of its objects at each question.
 * Source: the DNS specification of kubernetes/dns, and CoreDNS's kubernetes plugin where it leaves things open.
 */
export class Zone {
  readonly name: Name;
  private serial = 0;
  private serialVersion = -1;

  constructor(private readonly options: ZoneOptions) {
    const name = nameOf(options.domain);
    if (name === undefined) throw new Error(`Cannot serve zone "${options.domain}": not a domain name`);
    this.name = name;
  }

  get version(): number {
    return this.options.data.version;
  }

  owns(name: Name): boolean {
    return isWithin(name, this.name);
  }

  /** The answer for `name`, in lower case; undefined when another server has to be asked. */
  lookup(name: Name, type: number): Answer | undefined {
    if (!this.owns(name)) return this.lookupReverse(name, type);
    if (!this.options.data.synced) return unknown;
    const labels = labelsOf(name.slice(0, name.length - this.name.length) + '\0');
    return this.toAnswer(this.find(name, labels, type));
  }

  private find(name: Name, labels: string[], type: number): Found {
    const kind = labels.at(-1);
    const rest = labels.slice(0, -1);
    switch (kind) {
      case undefined:
        return this.findApex(name, type);
      case 'svc':
        return this.findService(name, rest, type);
      case 'pod':
        return this.options.podRecords === 'disabled' ? 'no-name' : this.findPod(name, rest, type);
      case 'dns':
        return this.findNameServer(name, rest, type);
      case 'dns-version':
        if (rest.length > 0) return 'no-name';
        return type === types.TXT ? { records: [textRecord(name, schemaVersion, this.options.ttl)] } : noData;
      default:
        return 'no-name';
    }
  }

  private findApex(name: Name, type: number): Found {
    if (type === types.SOA) return { records: [this.soa()] };
    if (type !== types.NS) return noData;
    const server = label('ns') + label('dns') + this.name;
    const { records: additional } = this.addresses(server, this.serverAddresses());
    return { records: [nameRecord(name, types.NS, server, this.options.ttl)], additional };
  }

  private findNameServer(name: Name, rest: string[], type: number): Found {
    if (rest.length === 0) return noData;
    if (rest.length > 1 || rest[0] !== 'ns') return 'no-name';
    return this.addresses(name, this.serverAddresses(), type);
  }

  private serverAddresses(): string[] {
    const service = this.options.data.services.get(dnsService);
    return service ? clusterIps(service) : [];
  }

  private findService(name: Name, labels: string[], type: number): Found {
    const { data, ttl } = this.options;
    const namespace = labels.at(-1);
    if (namespace === undefined) return noData;
    if (!data.namespaces.get({ name: namespace })) return 'no-name';
    const serviceName = labels.at(-2);
    if (serviceName === undefined) return noData;
    const service = data.services.get({ namespace, name: serviceName });
    if (!service) return 'no-name';
    const below = labels.slice(0, -2);
    if (service.spec?.type === 'ExternalName') {
      const target = below.length === 0 ? nameOf(service.spec.externalName?.toLowerCase() ?? '') : undefined;
      if (target === undefined || addressKey(service.spec.externalName ?? '')) return 'no-name';
      return { records: [nameRecord(name, types.CNAME, target, ttl)] };
    }
    if (below.length === 1 && below[0]?.startsWith('_')) {
      const ports = targetsOf(data, service, { protocol: below[0].slice(1) });
      return ports.some(({ port }) => port !== undefined) ? noData : 'no-name';
    }
    const selection = selectionOf(below);
    if (!selection) return 'no-name';
    const targets = targetsOf(data, service, selection);
    if (targets.length === 0) return 'no-name';
    if (type === types.SRV) return this.serviceRecords(name, service, targets);
    return this.addresses(
      name,
      targets.map(({ address }) => address),
      type,
    );
  }

  private serviceRecords(name: Name, service: Stored<Service>, targets: Target[]): Found {
    const { ttl } = this.options;
    const base = this.serviceName(service.metadata);
    const withPort = targets.filter(({ port }) => port !== undefined);
    const weight = Math.max(1, Math.floor(100 / Math.max(1, withPort.length)));
    const records = new Map<string, ResourceRecord>();
    const additional = new Map<string, ResourceRecord>();
    for (const { host, address, port = 0 } of withPort) {
      const target = host === undefined ? base : label(host) + base;
      records.set(`${port} ${target}`, srvRecord(name, target, port, weight, ttl));
      const record = addressRecord(target, address, ttl);
      if (record) additional.set(`${address} ${target}`, record);
    }
    return { records: [...records.values()], additional: [...additional.values()] };
  }

  private findPod(name: Name, labels: string[], type: number): Found {
    const { data, podRecords } = this.options;
    const [host, ...others] = labels.slice(0, -1).reverse();
    const namespace = labels.at(-1);
    if (namespace === undefined) return noData;
    if (!data.namespaces.get({ name: namespace })) return 'no-name';
    if (host === undefined) return noData;
    const isIpv4 = host.split('-').length === 4 && !host.includes('--');
    const address = host.replaceAll('-', isIpv4 ? '.' : ':');
    const key = others.length === 0 ? addressKey(address) : undefined;
    if (!key) return 'no-name';
    if (podRecords === 'verified') {
      const found = data.pods?.byIndex('address', key) ?? [];
      const alive = found.some(({ metadata, status }) => metadata.namespace === namespace && isAlive(status?.phase));
      if (!alive) return 'no-name';
    }
    return this.addresses(name, [address], type);
  }

  /** Addresses of Services and their endpoints; others may be known elsewhere. */
  private lookupReverse(name: Name, type: number): Answer | undefined {
    if (!isWithin(name, reverseZones.ipv4) && !isWithin(name, reverseZones.ipv6)) return undefined;
    const key = reverseKey(name);
    if (key === undefined) return undefined;
    const targets = this.namesOfAddress(key);
    if (targets.length === 0) return undefined;
    const records = targets.map(target => nameRecord(name, types.PTR, target, this.options.ttl));
    return this.toAnswer(type === types.PTR ? { records } : noData);
  }

  private namesOfAddress(key: string): Name[] {
    const { data } = this.options;
    const [service] = data.services.byIndex('address', key);
    if (service) return [this.serviceName(service.metadata)];
    const names = data.slices.byIndex('address', key).flatMap(({ metadata, endpoints }) => {
      const owner = data.services.get({
        namespace: metadata.namespace,
        name: metadata.labels?.[serviceNameLabel] ?? '',
      });
      if (!owner) return [];
      const unready = owner.spec?.publishNotReadyAddresses === true;
      // Pods behind a cluster IP have names too, but a headless service's are those that people gave.
      return (endpoints ?? [])
        .filter(({ conditions }) => conditions?.ready !== false || unready)
        .flatMap(({ addresses, hostname }) =>
          addresses
            .filter(address => addressKey(address) === key)
            .map(address => ({
              headless: isHeadless(owner),
              name: label(endpointLabel(hostname, address)) + this.serviceName(owner.metadata),
            })),
        );
    });
    const headless = names.filter(found => found.headless);
    return [...new Set((headless.length > 0 ? headless : names).map(found => found.name))];
  }

  private serviceName({ namespace, name }: { namespace?: string | undefined; name: string }): Name {
    return label(name) + label(namespace ?? '') + label('svc') + this.name;
  }

  /** Of both families when `type` is absent. */
  private addresses(name: Name, addresses: string[], type?: number): { records: ResourceRecord[] } {
    const records = [...new Set(addresses)].map(address => addressRecord(name, address, this.options.ttl));
    return {
      records: records.filter(
        record => record !== undefined && (type ?? record.type) === record.type,
      ) as ResourceRecord[],
    };
  }

  private soa(): ResourceRecord {
    if (this.serialVersion !== this.version) {
      this.serialVersion = this.version;
      this.serial = Math.max(this.serial + 1, Math.floor(Date.now() / 1000));
    }
    return soaRecord({ zone: this.name, serial: this.serial, ttl: this.options.ttl });
  }

  private toAnswer(found: Found): Answer {
    const records = found === 'no-name' ? [] : found.records;
    return {
      rcode: found === 'no-name' ? rcodes.NXDOMAIN : rcodes.NOERROR,
      authoritative: true,
      answers: records,
      authority: records.length === 0 ? [this.soa()] : [],
      additional: (found !== 'no-name' && found.additional) || [],
    };
  }
}

function isAlive(phase: string | undefined): boolean {
  return phase !== 'Succeeded' && phase !== 'Failed';
}

/** `HOST`, or `_PORT._PROTOCOL`; undefined when it is neither. */
function selectionOf(labels: string[]): Selection | undefined {
  const [first, second] = labels;
  if (first === undefined) return {};
  if (second === undefined) return { endpoint: first };
  if (labels.length > 2 || !first.startsWith('_') || !second.startsWith('_')) return undefined;
  return { port: first.slice(1), protocol: second.slice(1) };
}
