import type { FlagSpec } from '@naru/foundation';

/** The runtime's command line. */
export const runtimeFlags = {
  listen: { description: 'the socket of the CRI', type: 'string', default: 'unix:///run/naru/runtime.sock' },
  root: {
    description: 'containers and sandboxes: what outlives the process and the machine',
    type: 'string',
    default: '/var/lib/naru/runtime',
  },
  state: {
    description: 'run state, on a tmpfs: what is gone after a restart of the machine',
    type: 'string',
    default: '/run/naru/runtime',
  },
  'image-store': {
    description: 'images; several runtimes of a machine may share it',
    type: 'string',
    default: '/var/lib/naru/images',
  },
  'cni-conf-dir': { description: 'network configurations', type: 'string', default: '/etc/cni/net.d' },
  'cni-bin-dir': {
    description: 'network plugins; several places with commas',
    type: 'list',
    default: ['/usr/lib/cni', '/opt/cni/bin'],
  },
  'cdi-spec-dirs': {
    description: 'files that describe devices (Container Device Interface); several places with commas, the last wins',
    type: 'list',
    default: ['/etc/cdi', '/var/run/cdi'],
  },
  'cni-timeout-seconds': { description: 'how long a network plugin may take', type: 'number', default: 60 },
  'cgroup-parent': { description: 'cgroup of pods for which the kubelet names none', type: 'string', default: '/naru' },
  'cgroup-driver': {
    description: 'who makes the cgroups of pods, as the kubelet is told: cgroupfs or systemd',
    type: 'string',
    default: 'cgroupfs',
  },
  'oci-runtime': { description: 'auto, crun, runc or a path', type: 'string', default: 'auto' },
  'hide-unified-cgroup': {
    description:
      "unmount a hybrid host's version 2 cgroups, which crun refuses, in this mount namespace; it must be the node's own",
    type: 'boolean',
    default: false,
  },
  conmon: { description: 'the monitor of containers', type: 'string', default: 'conmon' },
  'streaming-address': {
    description: 'where exec and attach streams are served',
    type: 'string',
    default: '127.0.0.1:0',
  },
  'registry-config': { description: 'JSON file with mirrors and plain HTTP registries', type: 'string', default: '' },
  'health-address': { description: 'health checks and metrics', type: 'string', default: '127.0.0.1:10261' },
} as const satisfies Record<string, FlagSpec>;
