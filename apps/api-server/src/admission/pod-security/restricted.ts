import type { Container, PodSpec } from '@naru/api';
import { addedCapabilities } from './baseline';
import { named, plural, quoted, setters, wrongContainers, type Check, type SecurityContext } from './check';

const volumeTypes = new Set(
  'configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret image'.split(' '),
);
const bindService = new Set(['NET_BIND_SERVICE']);
const goodSeccomp = new Set(['RuntimeDefault', 'Localhost']);

function isWindows({ os }: PodSpec): boolean {
  return os?.name === 'windows';
}

/** A field that has to be set, for each container or for the whole pod: who does not. */
function missing(spec: PodSpec, isGood: (context: SecurityContext) => boolean | undefined): string[] {
  if (isGood((spec.securityContext ?? {}) as SecurityContext)) return [];
  return wrongContainers(spec, ({ securityContext = {} }) => isGood(securityContext) === undefined);
}

const dropsAll = ({ securityContext }: Container): boolean =>
  securityContext?.capabilities?.drop?.includes('ALL') ?? false;

/** What pods that need no special rights live with well. Source: the Pod Security Standards, by upstream's ids. */
export const restrictedChecks: readonly Check[] = [
  {
    id: 'allowPrivilegeEscalation',
    run: spec => {
      const names = wrongContainers(spec, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
      if (names.length === 0 || isWindows(spec)) return undefined;
      return {
        reason: 'allowPrivilegeEscalation != false',
        detail: `${named('container', names)} must set securityContext.allowPrivilegeEscalation=false`,
      };
    },
  },
  {
    id: 'capabilities_restricted',
    run: spec => {
      if (isWindows(spec)) return undefined;
      const details: string[] = [];
      const keeping = wrongContainers(spec, container => !dropsAll(container));
      if (keeping.length > 0)
        details.push(`${named('container', keeping)} must set securityContext.capabilities.drop=["ALL"]`);
      const { names, added } = addedCapabilities(spec, bindService);
      if (names.length > 0)
        details.push(
          `${named('container', names)} must not include ${quoted(added)} in securityContext.capabilities.add`,
        );
      return details.length === 0 ? undefined : { reason: 'unrestricted capabilities', detail: details.join('; ') };
    },
  },
  {
    id: 'restrictedVolumes',
    run: spec => {
      const types = new Set<string>();
      const names = (spec.volumes ?? []).flatMap(({ name, ...source }) => {
        const type = Object.keys(source).find(key => !volumeTypes.has(key));
        if (type !== undefined) types.add(type);
        return type === undefined ? [] : [name];
      });
      if (names.length === 0) return undefined;
      const uses = `${plural('uses', names.length, 'use')} ${plural('restricted volume type', types.size)}`;
      return {
        reason: 'restricted volume types',
        detail: `${named('volume', names)} ${uses} ${quoted([...types].sort())}`,
      };
    },
  },
  {
    id: 'runAsNonRoot',
    run: spec => {
      if (spec.hostUsers === false) return undefined;
      const reason = 'runAsNonRoot != true';
      const found = setters(
        spec,
        ({ runAsNonRoot }) => (runAsNonRoot === false ? 'false' : undefined),
        () => true,
      );
      if (found) return { reason, detail: `${found.who} must not set securityContext.runAsNonRoot=false` };
      const names = missing(spec, ({ runAsNonRoot }) => runAsNonRoot ?? undefined);
      if (names.length === 0) return undefined;
      return { reason, detail: `pod or ${named('container', names)} must set securityContext.runAsNonRoot=true` };
    },
  },
  {
    id: 'runAsUser',
    run: spec => {
      if (spec.hostUsers === false) return undefined;
      const found = setters(
        spec,
        ({ runAsUser }) => (runAsUser === 0 ? '0' : undefined),
        () => true,
      );
      return found && { reason: 'runAsUser=0', detail: `${found.who} must not set runAsUser=0` };
    },
  },
  {
    id: 'seccompProfile_restricted',
    run: spec => {
      if (isWindows(spec)) return undefined;
      const reason = 'seccompProfile';
      const found = setters(
        spec,
        context => context.seccompProfile?.type,
        type => !goodSeccomp.has(type),
      );
      if (found)
        return {
          reason,
          detail: `${found.who} must not set securityContext.seccompProfile.type to ${quoted(found.values)}`,
        };
      const names = missing(spec, ({ seccompProfile }) => (seccompProfile ? true : undefined));
      if (names.length === 0) return undefined;
      return {
        reason,
        detail: `pod or ${named('container', names)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
      };
    },
  },
];
