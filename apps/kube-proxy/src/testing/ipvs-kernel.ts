import { schedulers } from '../modes/ipvs/virtual-server';

/** How user-mode Linux becomes a kernel that the mode ipvs runs in. */
export const ipvsKernel = {
  modules: ['ipv6', 'ip_vs', ...schedulers.map(name => `ip_vs_${name}`), 'dummy', 'veth', 'bridge'],
  /** Lines of shell: its nf_tables know no IPv4, so that iptables is to be the one that keeps its rules elsewhere. */
  prepare: [
    'mkdir /run/bin',
    ...['iptables', 'ip6tables']
      .flatMap(name => [name, `${name}-restore`, `${name}-save`])
      .map(name => `ln -s /usr/sbin/xtables-legacy-multi /run/bin/${name}`),
    'export PATH=/run/bin:$PATH',
  ].join('\n'),
} as const;
