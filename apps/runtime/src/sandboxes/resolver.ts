import fs from 'node:fs';
import type { cri } from '@naru/proto';

/** The text of a pod's /etc/resolv.conf: what the kubelet asks for, or the node's own when it asks for nothing. */
export function resolvConf(dns: cri.DNSConfig | undefined, nodeFile = '/etc/resolv.conf'): string {
  if (!dns || (dns.servers.length === 0 && dns.searches.length === 0 && dns.options.length === 0)) {
    try {
      return fs.readFileSync(nodeFile, 'utf8');
    } catch {
      return '';
    }
  }
  const lines: string[] = [];
  if (dns.searches.length > 0) lines.push(`search ${dns.searches.join(' ')}`);
  lines.push(...dns.servers.map(server => `nameserver ${server}`));
  if (dns.options.length > 0) lines.push(`options ${dns.options.join(' ')}`);
  return `${lines.join('\n')}\n`;
}
