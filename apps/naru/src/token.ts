import { readFileSync } from 'node:fs';
import { formatJoinToken } from '@naru/pki';
import type { Cluster } from './cluster';

/** The token with which nodes join this cluster; anyone who has it can make a node. */
export function joinToken(cluster: Cluster): string {
  const [secret = ''] = readFileSync(cluster.pki('api-server/join-tokens'), 'utf8').split('\n');
  return formatJoinToken(readFileSync(cluster.pki('authority/ca.crt'), 'utf8'), secret);
}
