import { existsSync, readFileSync } from 'node:fs';
import { kubernetesVersion } from '@naru/foundation';
import { requireCluster } from '../cluster';
import { clusterFlags, command } from '../command';
import { askReadyz, nodeHealthPorts } from '../health';
import { joinToken } from '../token';

declare const NARU_VERSION: string;

export const kubeconfigCommand = command({
  name: 'kubeconfig',
  usage: '[--print]',
  summary: "print the path of the administrator's kubeconfig",
  flags: { ...clusterFlags, print: { description: 'the content instead', type: 'boolean', default: false } },
  async run({ flags }) {
    // Where another program has set the cluster up (Docker Compose), it says where the file is.
    const kubeconfig = process.env['NARU_KUBECONFIG'] ?? requireCluster(flags.cluster).kubeconfig;
    if (!existsSync(kubeconfig)) throw new Error(`there is no ${kubeconfig} yet: ./naru up`);
    if (!flags.print) return void process.stdout.write(`${kubeconfig}\n`);
    // A container's port may be published under another number.
    const server = process.env['NARU_SERVER'];
    const config = JSON.parse(readFileSync(kubeconfig, 'utf8')) as { clusters: { cluster: { server: string } }[] };
    if (server) for (const { cluster } of config.clusters) cluster.server = server;
    process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
  },
});

export const tokenCommand = command({
  name: 'token',
  usage: '',
  summary: 'print the token with which a machine joins (naru agent)',
  flags: clusterFlags,
  async run({ flags }) {
    process.stdout.write(`${joinToken(requireCluster(flags.cluster))}\n`);
  },
});

export const versionCommand = command({
  name: 'version',
  usage: '',
  summary: 'print the version',
  flags: clusterFlags,
  async run() {
    process.stdout.write(`naru ${NARU_VERSION} (Kubernetes ${kubernetesVersion})\n`);
  },
});

export const probeNodeCommand = command({
  name: 'probe-node',
  usage: '',
  summary: "ask the node's processes for their health, as JSON",
  hidden: true,
  flags: {},
  async run() {
    const entries = Object.entries(nodeHealthPorts).map(
      async ([name, port]) => [name, await askReadyz('127.0.0.1', port)] as const,
    );
    process.stdout.write(JSON.stringify(Object.fromEntries(await Promise.all(entries))));
  },
});
