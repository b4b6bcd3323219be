import type { Container, PodSpec } from '@naru/api';
import { containersOf, named, plural, quoted, setters, wrongContainers, type Check } from './check';

const appArmorAnnotation = 'container.apparmor.security.beta.kubernetes.io/';
const allowedCapabilities = new Set(
  `AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID
  SYS_CHROOT`.split(/\s+/),
);
const allowedSysctls = new Set(
  `kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start net.ipv4.tcp_syncookies
  net.ipv4.ping_group_range net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout
  net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem`.split(/\s+/),
);
const allowedSeLinuxTypes = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']);

/** `containers` that add a capability outside of `allowed`, and which. */
export function addedCapabilities(spec: PodSpec, allowed: ReadonlySet<string>): { names: string[]; added: string[] } {
  const added = new Set<string>();
  const names = wrongContainers(spec, ({ securityContext }) => {
    const wrong = (securityContext?.capabilities?.add ?? []).filter(capability => !allowed.has(capability));
    for (const capability of wrong) added.add(capability);
    return wrong.length > 0;
  });
  return { names, added: [...added].sort() };
}

interface Handler {
  httpGet?: { host?: string | undefined } | undefined;
  tcpSocket?: { host?: string | undefined } | undefined;
}

function hostsOf({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Container): string[] {
  const handlers: (Handler | undefined)[] = [
    livenessProbe,
    readinessProbe,
    startupProbe,
    lifecycle?.postStart,
    lifecycle?.preStop,
  ];
  return handlers
    .flatMap(handler => [handler?.httpGet?.host, handler?.tcpSocket?.host])
    .filter(host => !!host) as string[];
}

/** What keeps pods from known ways to more rights on the node. Source: the Pod Security Standards, by upstream's ids. */
export const baselineChecks: readonly Check[] = [
  {
    id: 'appArmorProfile',
    run: (spec, metadata) => {
      const found = setters(
        spec,
        context => context.appArmorProfile?.type,
        type => type === 'Unconfined',
      );
      const annotations = Object.entries(metadata?.annotations ?? {}).filter(
        ([key, value]) =>
          key.startsWith(appArmorAnnotation) && !/^(|runtime\/default|localhost\/.*)$/.test(value ?? ''),
      );
      const who = [found?.who, ...annotations.map(([key]) => `annotation ${JSON.stringify(key)}`)].filter(Boolean);
      if (who.length === 0) return undefined;
      const values = [...(found?.values ?? []), ...annotations.map(([, value]) => value ?? '')];
      const reason = plural('forbidden AppArmor profile', values.length);
      return { reason, detail: `${who.join(' and ')} must not set AppArmor profile type to ${quoted(values)}` };
    },
  },
  {
    id: 'capabilities_baseline',
    run: spec => {
      const { names, added } = addedCapabilities(spec, allowedCapabilities);
      if (names.length === 0) return undefined;
      return {
        reason: 'non-default capabilities',
        detail: `${named('container', names)} must not include ${quoted(added)} in securityContext.capabilities.add`,
      };
    },
  },
  {
    id: 'hostNamespaces',
    run: spec => {
      const set = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter(field => spec[field]);
      const detail = set.map(field => `${field}=true`).join(', ');
      return set.length === 0 ? undefined : { reason: 'host namespaces', detail };
    },
  },
  {
    id: 'hostPathVolumes',
    run: spec => {
      const names = (spec.volumes ?? []).filter(({ hostPath }) => hostPath).map(({ name }) => name);
      return names.length === 0 ? undefined : { reason: 'hostPath volumes', detail: named('volume', names) };
    },
  },
  {
    id: 'hostPorts',
    run: spec => {
      const ports = new Set<number>();
      const names = wrongContainers(spec, container => {
        const own = (container.ports ?? []).flatMap(({ hostPort }) => hostPort || []);
        for (const port of own) ports.add(port);
        return own.length > 0;
      });
      if (names.length === 0) return undefined;
      const uses = `${plural('uses', names.length, 'use')} ${plural('hostPort', ports.size)}`;
      return { reason: 'hostPort', detail: `${named('container', names)} ${uses} ${[...ports].sort().join(', ')}` };
    },
  },
  {
    id: 'hostProbesAndHostLifecycle',
    run: spec => {
      const hosts = new Set(containersOf(spec).flatMap(hostsOf));
      if (hosts.size === 0) return undefined;
      const names = wrongContainers(spec, container => hostsOf(container).length > 0).sort();
      const what = plural('probe or lifecycle host', hosts.size);
      return {
        reason: 'probe or lifecycle host',
        detail: `${named('container', names)} ${plural('uses', names.length, 'use')} ${what} ${quoted([...hosts].sort())}`,
      };
    },
  },
  {
    id: 'privileged',
    run: spec => {
      const names = wrongContainers(spec, ({ securityContext }) => securityContext?.privileged === true);
      if (names.length === 0) return undefined;
      return {
        reason: 'privileged',
        detail: `${named('container', names)} must not set securityContext.privileged=true`,
      };
    },
  },
  {
    id: 'procMount',
    run: spec => {
      if (spec.hostUsers === false) return undefined;
      const found = setters(
        spec,
        context => context.procMount,
        value => value !== 'Default' && value !== '',
      );
      if (!found) return undefined;
      const detail = `${found.who} must not set securityContext.procMount to ${quoted(found.values)}`;
      return { reason: 'procMount', detail };
    },
  },
  {
    id: 'seLinuxOptions',
    run: spec => {
      const problems = new Set<string>();
      const found = setters(
        spec,
        ({ seLinuxOptions }) => seLinuxOptions && JSON.stringify(seLinuxOptions),
        text => {
          const { type = '', user, role } = JSON.parse(text) as { type?: string; user?: string; role?: string };
          const wrong = !allowedSeLinuxTypes.has(type) || !!user || !!role;
          if (!allowedSeLinuxTypes.has(type)) problems.add(`type ${JSON.stringify(type)}`);
          if (user) problems.add('user may not be set');
          if (role) problems.add('role may not be set');
          return wrong;
        },
      );
      if (!found) return undefined;
      const detail = `${found.who} set forbidden securityContext.seLinuxOptions: ${[...problems].join('; ')}`;
      return { reason: 'seLinuxOptions', detail };
    },
  },
  {
    id: 'seccompProfile_baseline',
    run: spec => {
      const found = setters(
        spec,
        context => context.seccompProfile?.type,
        type => type === 'Unconfined',
      );
      if (!found) return undefined;
      const detail = `${found.who} must not set securityContext.seccompProfile.type to ${quoted(found.values)}`;
      return { reason: 'seccompProfile', detail };
    },
  },
  {
    id: 'sysctls',
    run: spec => {
      const names = (spec.securityContext?.sysctls ?? []).map(({ name }) => name);
      const wrong = names.filter(name => !allowedSysctls.has(name));
      return wrong.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: wrong.join(', ') };
    },
  },
  {
    id: 'windowsHostProcess',
    run: spec => {
      const found = setters(
        spec,
        context => (context.windowsOptions?.hostProcess ? 'true' : undefined),
        () => true,
      );
      if (!found) return undefined;
      return {
        reason: 'hostProcess',
        detail: `${found.who} must not set securityContext.windowsOptions.hostProcess=true`,
      };
    },
  },
];
