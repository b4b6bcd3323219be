import { hostRange, loopback } from '../../desired/ip-family';
import {
  endpointKey,
  endpointsFor,
  isExternal,
  outsideIps,
  type Endpoint,
  type Policy,
  type ServicePort,
  type Verdict,
} from '../../desired/service-port';
import { shortHash } from '../short-hash';
import type { RuleConfig } from '../mode';

export interface Chain {
  name: string;
  /** Without `-A NAME`. */
  rules: string[];
}

/** One rule of a port in a chain that all ports share. */
export interface SharedRule {
  table: 'nat' | 'filter';
  chain: 'KUBE-PROXY-FIREWALL' | 'KUBE-SERVICES' | 'KUBE-EXTERNAL-SERVICES' | 'KUBE-NODEPORTS';
  rule: string;
}

/** What one port of a Service contributes: chains of its own, in the table nat, and rules that lead there. */
export interface Fragment {
  chains: Chain[];
  shared: SharedRule[];
}

/** Chains are upstream's: FW is who may ask, EXT is for the outside, SVC and SVL choose among all and local endpoints, SEP is an endpoint. */
const kinds = ['FW', 'EXT', 'SVC', 'SVL', 'SEP'] as const;
type Kind = (typeof kinds)[number];

/** Less than that of every chain of a port that the one with this name may lead to. */
export function removalRank(name: string): number {
  return kinds.findIndex(kind => name.startsWith(`KUBE-${kind}-`));
}

/** Renders a port as upstream does (pkg/proxy/iptables). */
export function renderPort(port: ServicePort, config: RuleConfig): Fragment {
  const fragment: Fragment = { chains: [], shared: [] };
  renderShared(port, config, fragment);
  const forwardsOutside = isExternal(port) && port.external !== 'reject';
  if (port.internal !== 'forward' && !forwardsOutside) return fragment;
  if (forwardsOutside) fragment.chains.push(renderExternal(port, config));
  if (forwardsOutside && isGuarded(port)) fragment.chains.push(renderFirewall(port));
  for (const policy of ['cluster', 'local'] as const) {
    if (endpointsFor(port, policy).length > 0 && isUsed(port, policy)) {
      fragment.chains.push(renderChoice(port, policy, config));
    }
  }
  const endpoints = new Map<string, Endpoint>();
  for (const endpoint of [...port.clusterEndpoints, ...port.localEndpoints]) {
    endpoints.set(endpointKey(endpoint), endpoint);
  }
  for (const endpoint of endpoints.values()) fragment.chains.push(renderEndpoint(port, endpoint));
  return fragment;
}

function isUsed(port: ServicePort, policy: Policy): boolean {
  // From inside, the outside's addresses lead to all endpoints, whatever the external policy.
  return (
    port.internalPolicy === policy || (isExternal(port) && (port.externalPolicy === policy || policy === 'cluster'))
  );
}

function chainName(kind: Kind, port: ServicePort, endpoint?: Endpoint): string {
  return `KUBE-${kind}-${shortHash(endpoint ? `${port.name} ${endpointKey(endpoint)}` : port.name, 16)}`;
}

function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}

function protocolMatch(port: ServicePort, number: number): string {
  return `-p ${port.protocol} -m ${port.protocol} --dport ${number}`;
}

function choiceName(port: ServicePort, policy: Policy): string {
  return chainName(policy === 'local' ? 'SVL' : 'SVC', port);
}

function refusal(verdict: Verdict, { protocol }: ServicePort): string {
  if (verdict === 'drop') return 'DROP';
  // The kernel sends ICMP to a host but once a second or so, and the next client would wait.
  return protocol === 'tcp' ? 'REJECT --reject-with tcp-reset' : 'REJECT';
}

function renderShared(port: ServicePort, { family }: RuleConfig, { shared }: Fragment): void {
  const { name } = port;
  const portMatch = protocolMatch(port, port.port);
  const note = (what: string, verdict: Verdict): string =>
    comment(
      verdict === 'forward' ? `${name} ${what}` : `${name} has no ${verdict === 'drop' ? 'local ' : ''}endpoints`,
    );
  if (port.internal === 'forward') {
    const rule = `-d ${hostRange(port.clusterIp)} ${portMatch} ${note('cluster IP', 'forward')} -j ${choiceName(port, port.internalPolicy)}`;
    shared.push({ table: 'nat', chain: 'KUBE-SERVICES', rule });
  } else {
    const rule = `-d ${hostRange(port.clusterIp)} ${portMatch} ${note('', port.internal)} -j ${refusal(port.internal, port)}`;
    shared.push({ table: 'filter', chain: 'KUBE-SERVICES', rule });
  }
  // An answer from a loopback address could not be routed back.
  const localDestination = `-m addrtype --dst-type LOCAL ! -d ${loopback[family]}`;
  const places = outsideIps(port).map(ip => ({
    match: `-d ${hostRange(ip)} ${portMatch}`,
    node: false,
    guarded: isGuarded(port) && port.loadBalancerIps.includes(ip),
  }));
  if (port.nodePort !== undefined)
    places.push({ match: protocolMatch(port, port.nodePort), node: true, guarded: false });
  for (const { match, node, guarded } of places) {
    if (port.external !== 'reject') {
      const to = chainName(guarded ? 'FW' : 'EXT', port);
      const rule = `${match} ${note('external', 'forward')} -j ${to}`;
      shared.push({ table: 'nat', chain: node ? 'KUBE-NODEPORTS' : 'KUBE-SERVICES', rule });
      // What the chain has not translated comes from nobody who may ask.
      const refused = `${match} ${comment(`${name} traffic not accepted by ${to}`)} -j DROP`;
      if (guarded) shared.push({ table: 'filter', chain: 'KUBE-PROXY-FIREWALL', rule: refused });
    }
    if (port.external !== 'forward') {
      const rule = `${node ? `${localDestination} ` : ''}${match} ${note('', port.external)} -j ${refusal(port.external, port)}`;
      shared.push({ table: 'filter', chain: 'KUBE-EXTERNAL-SERVICES', rule });
    }
  }
}

function isGuarded(port: ServicePort): boolean {
  return port.sourceRanges.length > 0;
}

/** Lets the source ranges through to the load balancer's addresses; also a node that holds one, which asks with it. */
function renderFirewall(port: ServicePort): Chain {
  const allowed = [...port.sourceRanges, ...port.loadBalancerIps.map(hostRange)];
  const why = comment(`${port.name} loadbalancer IP`);
  return {
    name: chainName('FW', port),
    rules: allowed.map(range => `-s ${range} ${why} -j ${chainName('EXT', port)}`),
  };
}

function renderExternal(port: ServicePort, config: RuleConfig): Chain {
  const name = chainName('EXT', port);
  if (port.externalPolicy === 'cluster') {
    const why = comment(`masquerade traffic for ${port.name} external destinations`);
    return { name, rules: [`${why} -j KUBE-MARK-MASQ`, `-j ${choiceName(port, 'cluster')}`] };
  }
  const rules: string[] = [];
  if (port.clusterEndpoints.length > 0) {
    const all = choiceName(port, 'cluster');
    const fromHere = `${comment(`route LOCAL traffic for ${port.name} external destinations`)} -m addrtype --src-type LOCAL`;
    if (config.clusterCidr) {
      rules.push(`${comment(`pod traffic for ${port.name} external destinations`)} -s ${config.clusterCidr} -j ${all}`);
    }
    rules.push(`${fromHere} -j KUBE-MARK-MASQ`, `${fromHere} -j ${all}`);
  }
  if (port.localEndpoints.length > 0) rules.push(`-j ${choiceName(port, 'local')}`);
  return { name, rules };
}

/** The chain that draws one of the endpoints: the i-th of n takes 1/(n-i) of what is left. */
function renderChoice(port: ServicePort, policy: Policy, config: RuleConfig): Chain {
  const endpoints = endpointsFor(port, policy);
  const rules: string[] = [];
  if (config.clusterCidr && port.internalPolicy === policy) {
    const match = `-d ${hostRange(port.clusterIp)} ${protocolMatch(port, port.port)}`;
    rules.push(`! -s ${config.clusterCidr} ${match} ${comment(`${port.name} cluster IP`)} -j KUBE-MARK-MASQ`);
  }
  const leadTo = (endpoint: Endpoint): string =>
    `${comment(`${port.name} -> ${endpointKey(endpoint)}`)} -j ${chainName('SEP', port, endpoint)}`;
  if (port.affinitySeconds !== undefined) {
    for (const endpoint of endpoints) {
      const list = chainName('SEP', port, endpoint);
      rules.push(`-m recent --rcheck --seconds ${port.affinitySeconds} --reap --name ${list} ${leadTo(endpoint)}`);
    }
  }
  endpoints.forEach((endpoint, index) => {
    const left = endpoints.length - index;
    const chance = left === 1 ? '' : `-m statistic --mode random --probability ${(1 / left).toFixed(10)} `;
    rules.push(`${chance}${leadTo(endpoint)}`);
  });
  return { name: choiceName(port, policy), rules };
}

function renderEndpoint(port: ServicePort, endpoint: Endpoint): Chain {
  const name = chainName('SEP', port, endpoint);
  const remember = port.affinitySeconds === undefined ? '' : `-m recent --name ${name} --set `;
  return {
    name,
    rules: [
      // A pod that reaches itself would answer itself directly, past the translation.
      `-s ${hostRange(endpoint.address)} ${comment(port.name)} -j KUBE-MARK-MASQ`,
      `${remember}-p ${port.protocol} -m ${port.protocol} ${comment(port.name)} -j DNAT --to-destination ${endpointKey(endpoint)}`,
    ],
  };
}
