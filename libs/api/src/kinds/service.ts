import { services } from '../resource';
import { ageColumn, formatMap, nameColumn, text, wide } from '../table/columns';
import type { Service } from '../types';
import { validateServiceStatus } from '../validation/load-balancer-status';
import { validateService } from '../validation/service';
import { validateServiceUpdate } from '../validation/service-addresses';
import { dns1035Problem } from '../validation/names';
import { defineKind } from './define-kind';

type ServiceSpec = NonNullable<Service['spec']>;

const clientIpSeconds = 10_800;

function applyDefaults({ spec, status }: Service): void {
  if (!spec) return;
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  else if (spec.sessionAffinity === 'ClientIP' && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined)
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: clientIpSeconds } };
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    if (!port.targetPort) port.targetPort = port.port;
  }
  const isExternal = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.externalIPs?.length ?? 0) > 0;
  if (isExternal && spec.type !== 'ExternalName') spec.externalTrafficPolicy ||= 'Cluster';
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type !== 'LoadBalancer') return;
  spec.allocateLoadBalancerNodePorts ??= true;
  for (const ingress of status?.loadBalancer?.ingress ?? []) if (ingress.ip) ingress.ipMode ??= 'VIP';
}

/** Old clients write clusterIP alone. Source: normalizeClusterIPs. */
function completeAddresses(spec: ServiceSpec | undefined): void {
  if (spec?.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
}

/**
 * An update keeps the addresses that it leaves out, and an old client that changes clusterIP alone means clusterIPs too.
 * Source: patchAllocatedValues and normalizeClusterIPs.
 */
export function keepServiceAddresses(next: Service, old: Service): void {
  const [a, b] = [next.spec, old.spec];
  if (!a || !b || a.type === 'ExternalName' || b.type === 'ExternalName') return;
  if (!a.clusterIP && b.clusterIP) a.clusterIP = b.clusterIP;
  const changed = a.clusterIP !== b.clusterIP;
  if (!changed && !a.clusterIPs?.length && b.clusterIPs) a.clusterIPs = [...b.clusterIPs];
  else if (changed && a.clusterIP && a.clusterIPs?.join() === b.clusterIPs?.join()) a.clusterIPs = [a.clusterIP];
}

/** An update that leaves out what was allocated keeps it. */
function keepAllocated(next: Service, old: Service): void {
  const a = next.spec;
  const b = old.spec;
  keepServiceAddresses(next, old);
  if (!a || !b || a.type === 'ExternalName' || b.type === 'ExternalName') return;
  const usesNodePorts =
    a.type === 'NodePort' || (a.type === 'LoadBalancer' && a.allocateLoadBalancerNodePorts !== false);
  if (!usesNodePorts) return;
  const taken = new Set(a.ports?.map(port => port.nodePort).filter(Boolean));
  for (const port of a.ports ?? []) {
    if (port.nodePort) continue;
    const before = b.ports?.find(p => p.port === port.port && p.protocol === port.protocol)?.nodePort;
    if (before && !taken.has(before)) {
      port.nodePort = before;
      taken.add(before);
    }
  }
}

/** What a type does not use goes, as upstream's dropTypeDependentFields: a client switched it and left the rest. */
function dropUnused(next: Service, old: Service): void {
  const a = next.spec;
  const b = old.spec;
  if (!a || !b) return;
  const needed = (spec: ServiceSpec): boolean => spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  if (needed(b) && !needed(a)) {
    const before = b.ports?.map(port => port.nodePort).join();
    if (a.ports?.map(port => port.nodePort).join() === before) for (const port of a.ports ?? []) delete port.nodePort;
    if (a.externalTrafficPolicy === b.externalTrafficPolicy && !a.externalIPs?.length) delete a.externalTrafficPolicy;
  }
  const checked = (spec: ServiceSpec): boolean =>
    spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
  if (checked(b) && !checked(a) && a.healthCheckNodePort === b.healthCheckNodePort) delete a.healthCheckNodePort;
  if (b.type !== 'ExternalName' && a.type === 'ExternalName') {
    if (a.clusterIPs?.join() === b.clusterIPs?.join() || !a.clusterIPs?.length) {
      delete a.clusterIP;
      delete a.clusterIPs;
    }
    if (a.ipFamilies?.join() === b.ipFamilies?.join()) delete a.ipFamilies;
    if (a.ipFamilyPolicy === b.ipFamilyPolicy) delete a.ipFamilyPolicy;
  }
}

function externalIps({ spec, status }: Service): string {
  const given = spec?.externalIPs ?? [];
  switch (spec?.type) {
    case 'ClusterIP':
    case 'NodePort':
      return given.length === 0 ? '<none>' : given.join(',');
    case 'LoadBalancer': {
      const assigned = (status?.loadBalancer?.ingress ?? []).map(i => i.ip ?? i.hostname ?? '').filter(Boolean);
      return [...assigned, ...given].join(',') || '<pending>';
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return '<unknown>';
  }
}

function portsOf({ spec }: Service): string {
  const ports = (spec?.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  );
  return ports.length === 0 ? '<none>' : ports.join(',');
}

export const serviceKind = defineKind(services, {
  shortNames: ['svc'],
  categories: ['all'],
  subresources: { status: true, special: ['proxy'] },
  nameRule: dns1035Problem,
  applyDefaults,
  prepareForCreate: o => {
    o.status = { loadBalancer: {} };
    completeAddresses(o.spec);
  },
  prepareForUpdate: (next, old) => {
    dropUnused(next, old);
    keepAllocated(next, old);
    completeAddresses(next.spec);
  },
  validate: validateService,
  validateUpdate: validateServiceUpdate,
  validateStatusUpdate: (next, _old, errors) => validateServiceStatus(next, errors),
  selectable: { 'spec.clusterIP': o => o.spec?.clusterIP, 'spec.type': o => o.spec?.type },
  columns: [
    nameColumn,
    text('Type', 'How the Service is exposed.', o => o.spec?.type ?? ''),
    text('Cluster-IP', 'Its address in the cluster.', o => o.spec?.clusterIPs?.[0] ?? (o.spec?.clusterIP || '<none>')),
    text('External-IP', 'Its addresses outside of the cluster.', externalIps),
    text('Port(s)', 'Its ports, with their node ports.', portsOf),
    ageColumn,
    wide('Selector', 'The labels of its pods.', o => formatMap(o.spec?.selector)),
  ],
});
