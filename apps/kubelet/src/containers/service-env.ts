import type { Service } from '@naru/api';

const envName = (name: string): string => name.replace(/-/g, '_').toUpperCase();

/**
 * Docker-style link variables of the services in a pod's namespace, and of kubernetes.default always.
 * Source: pkg/kubelet/envvars and kubelet.getServiceEnvVarMap.
 */
export function serviceEnv(
  services: readonly Service[],
  namespace: string,
  enableServiceLinks: boolean,
): Record<string, string> {
  const env: Record<string, string> = {};
  const byAge = [...services].sort((a, b) =>
    (a.metadata?.creationTimestamp ?? '').localeCompare(b.metadata?.creationTimestamp ?? ''),
  );
  for (const service of byAge) {
    const ip = service.spec?.clusterIP;
    if (!ip || ip === 'None') continue;
    const own = service.metadata?.namespace === namespace && enableServiceLinks;
    const master = service.metadata?.namespace === 'default' && service.metadata.name === 'kubernetes';
    if (own || master) Object.assign(env, linkVariables(service, ip));
  }
  return env;
}

function linkVariables(service: Service, ip: string): Record<string, string> {
  const prefix = envName(service.metadata?.name ?? '');
  const ports = service.spec?.ports ?? [];
  const host = ip.includes(':') ? `[${ip}]` : ip;
  const env: Record<string, string> = { [`${prefix}_SERVICE_HOST`]: ip };
  for (const [index, { port, name, protocol = 'TCP' }] of ports.entries()) {
    if (index === 0) env[`${prefix}_SERVICE_PORT`] = String(port);
    if (name) env[`${prefix}_SERVICE_PORT_${envName(name)}`] = String(port);
    const url = `${protocol.toLowerCase()}://${host}:${port}`;
    if (index === 0) env[`${prefix}_PORT`] = url;
    const portPrefix = `${prefix}_PORT_${port}_${protocol}`;
    env[portPrefix] = url;
    env[`${portPrefix}_PROTO`] = protocol.toLowerCase();
    env[`${portPrefix}_PORT`] = String(port);
    env[`${portPrefix}_ADDR`] = ip;
  }
  return env;
}
