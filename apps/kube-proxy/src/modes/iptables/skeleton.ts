import { loopback } from '../../desired/ip-family';
import { localnet, masqueradeMark, type RuleConfig } from '../mode';

export type TableName = 'filter' | 'nat';

/** Rules of ours in chains that are not ours; each is inserted at the head where it is missing. */
export const jumps: { table: TableName; chain: string; rule: string }[] = [
  jump('filter', 'INPUT', 'KUBE-PROXY-FIREWALL', 'kubernetes load balancer firewall', true),
  jump('filter', 'FORWARD', 'KUBE-PROXY-FIREWALL', 'kubernetes load balancer firewall', true),
  jump('filter', 'OUTPUT', 'KUBE-PROXY-FIREWALL', 'kubernetes load balancer firewall', true),
  jump('filter', 'INPUT', 'KUBE-EXTERNAL-SERVICES', 'kubernetes externally-visible service portals', true),
  jump('filter', 'FORWARD', 'KUBE-EXTERNAL-SERVICES', 'kubernetes externally-visible service portals', true),
  jump('filter', 'FORWARD', 'KUBE-SERVICES', 'kubernetes service portals', true),
  jump('filter', 'FORWARD', 'KUBE-FORWARD', 'kubernetes forwarding rules', false),
  jump('filter', 'OUTPUT', 'KUBE-SERVICES', 'kubernetes service portals', true),
  jump('nat', 'PREROUTING', 'KUBE-SERVICES', 'kubernetes service portals', false),
  jump('nat', 'OUTPUT', 'KUBE-SERVICES', 'kubernetes service portals', false),
  jump('nat', 'POSTROUTING', 'KUBE-POSTROUTING', 'kubernetes postrouting rules', false),
];

function jump(table: TableName, chain: string, to: string, note: string, onlyNew: boolean) {
  const state = onlyNew ? '-m conntrack --ctstate NEW ' : '';
  return { table, chain, rule: `${state}-m comment --comment "${note}" -j ${to}` };
}

/** Where only new connections come by. */
export const localnetRule = `-d ${localnet} -m comment --comment "block incoming localnet connections" -m addrtype ! --src-type LOCAL -m conntrack ! --ctstate DNAT -j DROP`;

/** A chain that is always there. */
export interface FixedChain {
  table: TableName;
  name: string;
  /** Those that come after the rules of the Services. */
  rules: string[] | ((config: RuleConfig) => string[]);
}

/** Marks what is to be masqueraded; the one fixed chain that chains of ports lead to. */
export const markMasqueradeChain = 'KUBE-MARK-MASQ';

export const fixedChains: FixedChain[] = [
  { table: 'filter', name: 'KUBE-PROXY-FIREWALL', rules: ({ family }) => (family === 'IPv4' ? [localnetRule] : []) },
  { table: 'filter', name: 'KUBE-SERVICES', rules: [] },
  { table: 'filter', name: 'KUBE-EXTERNAL-SERVICES', rules: [] },
  {
    table: 'filter',
    name: 'KUBE-FORWARD',
    rules: [
      // Packets that connection tracking cannot place are not translated back, and would reset the connection.
      '-m conntrack --ctstate INVALID -j DROP',
      `-m comment --comment "kubernetes forwarding rules" -m mark --mark ${masqueradeMark}/${masqueradeMark} -j ACCEPT`,
      '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ],
  },
  {
    table: 'nat',
    name: 'KUBE-SERVICES',
    rules: ({ family, nodePortAddresses }) =>
      (nodePortAddresses?.map(range => `-d ${range}`) ?? [`! -d ${loopback[family]}`]).map(
        match =>
          `${match} -m comment --comment "kubernetes service nodeports" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`,
      ),
  },
  { table: 'nat', name: 'KUBE-NODEPORTS', rules: [] },
  { table: 'nat', name: markMasqueradeChain, rules: [`-j MARK --or-mark ${masqueradeMark}`] },
  {
    table: 'nat',
    name: 'KUBE-POSTROUTING',
    rules: [
      `-m mark ! --mark ${masqueradeMark}/${masqueradeMark} -j RETURN`,
      // So that a packet which passes here again is not masqueraded again.
      `-j MARK --xor-mark ${masqueradeMark}`,
      '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ],
  },
];

const ownChain = /^KUBE-(SVC|SVL|EXT|FW|SEP)-[A-Z2-7]{16}$/;

/** Chains of a port; the fixed ones are not among them, nor those of kubelet or other programs. */
export function isPortChain(name: string): boolean {
  return ownChain.test(name);
}
