import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import type { Cluster } from './cluster';
import { clusterDnsAddresses, clusterInfo, loadBalancerAddresses } from './cluster-info';
import { prepareCertificates } from './certificates';
import { writeJson } from './cluster';
import { frugal } from './frugal';
import { script, type ServiceSpec } from './keeper';
import { writeKubeconfig } from './kubeconfig';
import { natsConfig } from './nats-config';
import { addressesAt } from './address';

/** Bundle of an app, beside this one. */
export function bundle(app: string): string {
  return path.resolve(__dirname, '..', app, 'main.js');
}

/** The command line of one of our processes; `options` are for Node itself. */
export function nodeCommand(app: string, flags: Record<string, string | number>, options: string[] = []): string[] {
  return [
    process.execPath,
    ...options,
    bundle(app),
    ...Object.entries(flags).map(([key, value]) => `--${key}=${value}`),
  ];
}

function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The flags by which a process finds the control plane, as the owner of the certificate in `folder`. */
export function connectionOf(cluster: Cluster, folder: string): Record<string, string> {
  return {
    'api-server': `${cluster.hostAddress}:${cluster.ports.grpc}`,
    nats: `tls://${cluster.hostAddress}:${cluster.ports.nats}`,
    ca: cluster.pki(folder, 'ca.crt'),
    certificate: cluster.pki(folder, 'client.crt'),
    key: cluster.pki(folder, 'client.key'),
  };
}

/**
 * How long pods wait for a node that is away. Upstream's 300 s suit machines that reboot; these nodes start in seconds, so
 * that a dead one is replaced soon.
 */
const awaySeconds = 5;

/** The processes of the control plane in the order in which they are started. */
export function controlPlaneServices(cluster: Cluster): ServiceSpec[] {
  const { ports, settings, hostAddress } = cluster;
  const service = (name: string, argv: string[]): ServiceSpec => ({
    name,
    argv,
    log: path.join(cluster.logs, `${name}.log`),
  });
  const frugalService = (name: string, app: string, flags: Record<string, string | number>): ServiceSpec => ({
    ...service(name, nodeCommand(app, flags, frugal.options)),
    environment: frugal.environment,
  });
  const pki = (file: string): string => cluster.pki('api-server', file);
  return [
    service('nats', ['nats-server', '--config', natsConfigFile(cluster)]),
    service(
      'api-server',
      nodeCommand('api-server', {
        // Of IPv6, which takes connections by IPv4 too, only where the cluster has it.
        listen: `${settings.ipFamily === 'ipv4' ? '0.0.0.0' : '[::]'}:${ports.api}`,
        'grpc-listen': `${hostAddress}:${ports.grpc}`,
        'advertise-address': cluster.nodeIps(hostAddress)[0] ?? hostAddress,
        'data-dir': path.join(cluster.data, 'lmdb'),
        nats: `tls://${hostAddress}:${ports.nats}`,
        ca: cluster.pki('authority/ca.crt'),
        'ca-key': cluster.pki('authority/ca.key'),
        certificate: pki('serving.crt'),
        key: pki('serving.key'),
        'client-certificate': pki('client.crt'),
        'client-key': pki('client.key'),
        'proxy-client-cert-file': pki('front-proxy-client.crt'),
        'proxy-client-key-file': pki('front-proxy-client.key'),
        'requestheader-client-ca-file': pki('front-proxy-ca.crt'),
        'service-account-key': pki('service-account.key'),
        'join-token-file': pki('join-tokens'),
        'service-cluster-ip-range': settings.serviceCidr,
        'cluster-info': clusterInfoFile(cluster),
        'default-not-ready-toleration-seconds': awaySeconds,
        'default-unreachable-toleration-seconds': awaySeconds,
      }),
    ),
    service(
      'scheduler',
      nodeCommand('scheduler', {
        ...connectionOf(cluster, 'scheduler'),
        'health-address': `127.0.0.1:${ports.scheduler}`,
      }),
    ),
    frugalService('controller-manager', 'controller-manager', {
      ...connectionOf(cluster, 'controller-manager'),
      'health-address': `127.0.0.1:${ports.controllerManager}`,
      'cluster-cidr': settings.clusterCidr,
      'service-cluster-ip-range': settings.serviceCidr,
      'load-balancer-addresses': loadBalancerAddresses(settings),
      'cluster-signing-cert-file': cluster.pki('authority/ca.crt'),
      'cluster-signing-key-file': cluster.pki('authority/ca.key'),
      'rest-api': `https://${hostAddress}:${ports.api}`,
      'local-path': path.join(cluster.data, 'local-path'),
    }),
    ...cluster.dns.map(({ name, port, metricsPort }) =>
      frugalService(name, 'dns', {
        ...connectionOf(cluster, 'dns'),
        listen: cluster
          .nodeIps(hostAddress)
          .map(address => hostPort(address, port))
          .join(','),
        'health-address': cluster
          .linkAddresses(hostAddress)
          .map(address => hostPort(address, metricsPort))
          .join(','),
        'replica-name': name,
        'cluster-dns': clusterDnsAddresses(settings.serviceCidr),
        'cluster-domain': settings.clusterDomain,
      }),
    ),
    ...(settings.metricsServer ? [frugalService('metrics-server', 'metrics-server', metricsServerFlags(cluster))] : []),
    { name: 'watch', argv: [script('watch'), cluster.run] },
  ];
}

function metricsServerFlags(cluster: Cluster): Record<string, string | number> {
  const { ports, hostAddress } = cluster;
  return {
    ...connectionOf(cluster, 'metrics-server'),
    'serving-certificate': cluster.pki('metrics-server', 'serving.crt'),
    'serving-key': cluster.pki('metrics-server', 'serving.key'),
    listen: hostPort(cluster.nodeIps(hostAddress)[0] ?? hostAddress, ports.metrics),
    'health-address': `127.0.0.1:${ports.metricsHealth}`,
  };
}

function natsConfigFile(cluster: Cluster): string {
  return path.join(cluster.data, 'nats.conf');
}

function clusterInfoFile(cluster: Cluster): string {
  return path.join(cluster.data, 'cluster-info.json');
}

/** Writes keys, certificates, kubeconfig and configuration files; only what is missing or has changed. */
export async function prepareControlPlane(cluster: Cluster): Promise<{ made: string[] }> {
  const { settings, ports, hostAddress } = cluster;
  mkdirSync(cluster.data, { recursive: true, mode: 0o700 });
  const { made } = await prepareCertificates(cluster.pki(), {
    apiServer: {
      dnsNames: [hostname(), `kubernetes.default.svc.${settings.clusterDomain}`],
      ipAddresses: [...cluster.linkAddresses(hostAddress), ...addressesAt(settings.serviceCidr, 1)],
    },
    nats: { dnsNames: ['localhost'], ipAddresses: [hostAddress, '127.0.0.1'] },
  });
  writeFileSync(
    natsConfigFile(cluster),
    natsConfig({
      listen: `${hostAddress}:${ports.nats}`,
      certificate: cluster.pki('nats/serving.crt'),
      key: cluster.pki('nats/serving.key'),
      ca: cluster.pki('nats/ca.crt'),
      storeDir: path.join(cluster.run, 'nats'),
    }),
  );
  writeJson(
    clusterInfoFile(cluster),
    clusterInfo(settings, `${hostAddress}:${ports.grpc}`, `tls://${hostAddress}:${ports.nats}`),
  );
  await writeKubeconfig(cluster.kubeconfig, {
    cluster: cluster.name,
    server: `https://127.0.0.1:${ports.api}`,
    ca: cluster.pki('admin/ca.crt'),
    certificate: cluster.pki('admin/client.crt'),
    key: cluster.pki('admin/client.key'),
  });
  return { made };
}
