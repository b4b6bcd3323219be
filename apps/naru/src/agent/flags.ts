import type { FlagSpec, Flags } from '@naru/foundation';

/** The flags of `naru agent`. */
export const agentFlags = {
  server: { description: 'https://HOST:PORT of the cluster', type: 'string', required: true },
  token: { description: 'join token (see `naru token`)', type: 'string' },
  'token-file': { description: 'file with the join token', type: 'string' },
  'node-name': { description: 'default: the host name', type: 'string' },
  'node-ip': {
    description: 'one address, or one of each family; default: the one from which the server is reached',
    type: 'list',
  },
  'dual-stack': {
    description: 'without --node-ip: show the address of the other family too by which the server would be reached',
    type: 'boolean',
    default: false,
  },
  'node-labels': { description: 'key=value,... for the Node', type: 'list' },
  'data-dir': { description: 'what the node keeps', type: 'string', default: '/var/lib/naru/agent' },
  'kubelet-dir': { description: "the kubelet's folder; default: kubelet in the data folder", type: 'string' },
  'kubelet-config': { description: 'file with fields of a KubeletConfiguration that are to hold', type: 'string' },
  'registry-config': { description: 'JSON file with mirrors and registries without TLS', type: 'string' },
  'run-dir': { description: 'sockets, pid files; lost with a reboot', type: 'string', default: '/run/naru' },
  'log-dir': { description: 'where the processes log to; "-" for standard output', type: 'string', default: '-' },
  'image-store': { description: 'default: images in the data folder', type: 'string' },
  'proxy-mode': { description: "iptables or nftables; default: the cluster's", type: 'string' },
  'pod-network': { description: "vxlan, host-gw or none; default: the cluster's", type: 'string' },
  'container-runtime': {
    description: "naru, or containerd: this machine's, with everything of its own",
    type: 'string',
  },
  'container-runtime-endpoint': {
    description: 'a CRI runtime that runs already, instead of one of our own',
    type: 'string',
  },
  'leave-on-stop': { description: 'take the Node away when the agent is stopped', type: 'boolean', default: false },
} as const satisfies Record<string, FlagSpec>;

export type AgentFlags = Flags<typeof agentFlags>;
