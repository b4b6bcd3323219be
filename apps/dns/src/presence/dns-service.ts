import { services, type Service, type Stored } from '@naru/api';
import type { Lister, ObjectsClient } from '@naru/client';
import { isReason, type Logger } from '@naru/foundation';
import { clusterIps as addressesOf } from '../zone/cluster-data';
import { dnsNamespace, dnsServiceName } from './names';

export interface DnsServiceDeps {
  client: ObjectsClient;
  services: Lister<Service>;
  logger: Logger;
  /** The addresses that stand in every pod's resolv.conf: one, or one of each family. */
  clusterIps: readonly string[];
}

export function desiredService(clusterIps: readonly string[]): Service {
  const [clusterIP = ''] = clusterIps;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: dnsServiceName,
      namespace: dnsNamespace,
      labels: {
        'k8s-app': dnsServiceName,
        'kubernetes.io/cluster-service': 'true',
        'kubernetes.io/name': 'CoreDNS',
      },
      annotations: { 'prometheus.io/port': '9153', 'prometheus.io/scrape': 'true' },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [...clusterIps],
      ipFamilyPolicy: clusterIps.length > 1 ? 'RequireDualStack' : 'SingleStack',
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
        { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
        { name: 'metrics', port: 9153, protocol: 'TCP', targetPort: 9153 },
      ],
    },
  };
}

/** Keeps the Service in front of all replicas. */
export class DnsService {
  private complaint = '';

  constructor(private readonly deps: DnsServiceDeps) {}

  /**
   * Creates the Service when it is missing. Answers whether our endpoints belong behind it: not when it selects pods,
   * which is how people put a DNS server of their own in place of this one.
   */
  async ensure(): Promise<boolean> {
    const { client, logger, clusterIps } = this.deps;
    const service = this.deps.services.get({ namespace: dnsNamespace, name: dnsServiceName });
    if (service) return this.isOurs(service);
    try {
      await client.create(services, desiredService(clusterIps));
      logger.info({ clusterIps }, 'created the Service of the cluster DNS');
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
    return true;
  }

  private isOurs(service: Stored<Service>): boolean {
    const found = addressesOf(service);
    if (!this.deps.clusterIps.every(address => found.includes(address)))
      this.complain(`it has ${found.join(', ') || 'no address'}`);
    const taken = Object.keys(service.spec?.selector ?? {}).length > 0;
    if (taken) this.complain('it selects pods');
    return !taken;
  }

  private complain(reason: string): void {
    if (reason === this.complaint) return;
    this.complaint = reason;
    this.deps.logger.warn(
      { reason, clusterIps: this.deps.clusterIps },
      'the Service of the cluster DNS is not as we need it',
    );
  }
}
