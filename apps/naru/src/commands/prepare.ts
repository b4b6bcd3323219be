import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { formatJoinToken, writeSecretFile } from '@naru/pki';
import { addressesAt } from '../address';
import { prepareCertificates } from '../certificates';
import { defaultSettings } from '../cluster';
import { clusterInfo } from '../cluster-info';
import { command } from '../command';
import { writeKubeconfig } from '../kubeconfig';
import { natsConfig } from '../nats-config';

const anyAddress = '0.0.0.0';

/** For control planes whose processes somebody else starts, such as Docker Compose: makes the files they need. */
export const prepareCommand = command({
  name: 'prepare',
  usage: '--data-dir DIR',
  summary: 'make the keys, certificates and configuration of a control plane, one folder a process',
  hidden: true,
  flags: {
    'data-dir': { description: 'where to', type: 'string', required: true },
    cluster: { description: 'name of the cluster', type: 'string', default: 'naru' },
    'api-server-name': { description: 'names and addresses of the api-server', type: 'list', default: ['api-server'] },
    'api-server-address': { description: 'more addresses of the api-server', type: 'list', default: [] },
    'nats-name': { description: 'host name of nats', type: 'string', default: 'nats' },
    server: { description: 'URL for the kubeconfig', type: 'string', default: 'https://127.0.0.1:6443' },
    'cluster-cidr': { description: 'network of the pods', type: 'string', default: defaultSettings.clusterCidr },
    'service-cluster-ip-range': {
      description: 'network of the Services',
      type: 'string',
      default: defaultSettings.serviceCidr,
    },
    'proxy-mode': {
      description: 'nftables, iptables, ipvs or userspace',
      type: 'string',
      default: defaultSettings.proxyMode,
    },
    'pod-network': { description: 'vxlan, host-gw or none', type: 'string', default: defaultSettings.podNetwork },
  },
  async run({ flags }) {
    const folder = flags['data-dir'];
    const at = (...parts: string[]): string => path.join(folder, ...parts);
    const { authority, made } = await prepareCertificates(folder, {
      apiServer: {
        dnsNames: flags['api-server-name'],
        ipAddresses: [...addressesAt(flags['service-cluster-ip-range'], 1), ...flags['api-server-address']],
      },
      nats: { dnsNames: [flags['nats-name'], 'localhost'], ipAddresses: [] },
    });
    await writeSecretFile(
      at('nats/nats.conf'),
      natsConfig({
        listen: `${anyAddress}:4222`,
        certificate: at('nats/serving.crt'),
        key: at('nats/serving.key'),
        ca: at('nats/ca.crt'),
        storeDir: '/tmp/nats',
      }),
    );
    const settings = {
      ...defaultSettings,
      name: flags.cluster,
      clusterCidr: flags['cluster-cidr'],
      serviceCidr: flags['service-cluster-ip-range'],
      proxyMode: flags['proxy-mode'],
      podNetwork: flags['pod-network'],
    };
    const info = clusterInfo(settings, `${flags['api-server-name'][0]}:6444`, `tls://${flags['nats-name']}:4222`);
    await writeSecretFile(at('api-server/cluster-info.json'), `${JSON.stringify(info, null, 2)}\n`);
    const [secret = ''] = readFileSync(at('api-server/join-tokens'), 'utf8').split('\n');
    const token = formatJoinToken(authority, secret);
    if (!existsSync(at('join/token')) || readFileSync(at('join/token'), 'utf8').trim() !== token)
      await writeSecretFile(at('join/token'), `${token}\n`);
    await writeKubeconfig(at('admin/kubeconfig'), {
      cluster: flags.cluster,
      server: flags.server,
      ca: at('admin/ca.crt'),
      certificate: at('admin/client.crt'),
      key: at('admin/client.key'),
    });
    process.stdout.write(`${made.length} files made in ${folder}\n`);
  },
});
