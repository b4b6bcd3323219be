import { defaultPullPolicy } from '../image-reference';
import { isPodLevelResource } from '../pod-resources';
import { containerQuantities, formatQuantities } from '../quota/quantities';
import type { Container, PodSpec, PodTemplateSpec, Probe, Volume } from '../types';

const fileMode = 0o644;
const hourSeconds = 3600;

/** What every pod and pod template gets. Source: pkg/apis/core/v1/defaults.go. */
export function defaultPodSpec(spec: PodSpec): void {
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.restartPolicy ||= 'Always';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ||= 'default-scheduler';
  mirrorServiceAccount(spec);
  // GenericWorkload: alpha, and off in upstream.
  delete spec.schedulingGroup;
  for (const volume of spec.volumes ?? []) {
    dropDisabledSources(volume);
    defaultVolume(volume);
  }
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.containers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container as Container);
}

export function defaultPodTemplate(template: PodTemplateSpec | undefined): void {
  if (template?.spec) defaultPodSpec(template.spec);
}

/**
 * Upstream has these two off unless somebody turns them on (ClusterTrustBundleProjection and PodCertificateRequest, beta), and then takes a
 * pod as if they had not been written. Source: pkg/api/pod DropDisabledPodFields.
 */
function dropDisabledSources({ projected }: Volume): void {
  for (const source of projected?.sources ?? []) {
    delete source.clusterTrustBundle;
    delete source.podCertificate;
  }
}

/** The old name of the field is kept in step, for clients that still read it. */
function mirrorServiceAccount(spec: PodSpec): void {
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName;
  else if (spec.serviceAccount) spec.serviceAccountName = spec.serviceAccount;
}

function defaultContainer(c: Container): void {
  c.imagePullPolicy ||= defaultPullPolicy(c.image);
  c.terminationMessagePath ||= '/dev/termination-log';
  c.terminationMessagePolicy ||= 'File';
  c.resources ??= {};
  for (const port of c.ports ?? []) port.protocol ||= 'TCP';
  for (const env of c.env ?? []) {
    if (env.valueFrom?.fileKeyRef) env.valueFrom.fileKeyRef.optional ??= false;
    if (env.valueFrom?.fieldRef) env.valueFrom.fieldRef.apiVersion ||= 'v1';
    if (env.valueFrom?.resourceFieldRef) env.valueFrom.resourceFieldRef.divisor ||= '0';
  }
  for (const probe of [c.livenessProbe, c.readinessProbe, c.startupProbe]) if (probe) defaultProbe(probe);
  defaultHttpGet(c.lifecycle?.postStart?.httpGet);
  defaultHttpGet(c.lifecycle?.preStop?.httpGet);
}

function defaultProbe(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= '';
}

function defaultHttpGet(action: { path?: string | undefined; scheme?: string | undefined } | undefined): void {
  if (!action) return;
  action.path ||= '/';
  action.scheme ||= 'HTTP';
}

function defaultVolume(volume: Volume): void {
  if (Object.keys(volume).every(key => key === 'name')) volume.emptyDir = {};
  if (volume.secret) volume.secret.defaultMode ??= fileMode;
  if (volume.configMap) volume.configMap.defaultMode ??= fileMode;
  if (volume.downwardAPI) {
    volume.downwardAPI.defaultMode ??= fileMode;
    defaultDownwardItems(volume.downwardAPI.items);
  }
  if (volume.projected) {
    volume.projected.defaultMode ??= fileMode;
    for (const source of volume.projected.sources ?? []) {
      if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= hourSeconds;
      defaultDownwardItems(source.downwardAPI?.items);
    }
  }
  if (volume.hostPath) volume.hostPath.type ??= '';
  if (volume.ephemeral?.volumeClaimTemplate) volume.ephemeral.volumeClaimTemplate.spec.volumeMode ??= 'Filesystem';
  if (volume.image) volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference);
}

function defaultDownwardItems(
  items:
    | {
        fieldRef?: { apiVersion?: string | undefined } | undefined;
        resourceFieldRef?: { divisor?: string | undefined } | undefined;
      }[]
    | undefined,
): void {
  for (const item of items ?? []) {
    if (item.fieldRef) item.fieldRef.apiVersion ||= 'v1';
    if (item.resourceFieldRef) item.resourceFieldRef.divisor ||= '0';
  }
}

/** What a pod gets but a template does not. */
export function defaultPod(spec: PodSpec): void {
  defaultPodSpec(spec);
  spec.enableServiceLinks ??= true;
  for (const list of [spec.containers ?? [], spec.initContainers ?? []]) {
    for (const container of list) {
      requestLimits(container);
      if (list === spec.containers || container.restartPolicy === 'Always') defaultResizePolicy(container);
      if (spec.hostNetwork) for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
    }
  }
  defaultPodResources(spec);
}

/**
 * What a pod with limits as a whole requests: what its containers request together, else up to its limits. Huge pages cannot be overcommitted:
 * what containers may have of them is the limit. Source: defaultPodRequests and defaultHugePagePodLimits.
 */
function defaultPodResources(spec: PodSpec): void {
  const { resources } = spec;
  if (!resources) return;
  const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
  const ofContainers = (which: 'requests' | 'limits', wanted: (name: string) => boolean): Record<string, string> =>
    formatQuantities(new Map([...containerQuantities({ spec }, which)].filter(([name]) => wanted(name))));
  const limits = { ...ofContainers('limits', isHugePages), ...resources.limits };
  if (Object.keys(limits).length === 0) return;
  resources.limits = limits;
  const requestable = (name: string): boolean => isPodLevelResource(name) && !isHugePages(name);
  const own = Object.entries(limits).filter(([name]) => isPodLevelResource(name));
  resources.requests = {
    ...Object.fromEntries(own),
    ...ofContainers('requests', requestable),
    ...resources.requests,
  };
}

/** What a container has an amount of may change while it runs. */
export function defaultResizePolicy(container: Container): void {
  for (const resourceName of ['cpu', 'memory']) {
    const { requests, limits } = container.resources ?? {};
    if (requests?.[resourceName] === undefined && limits?.[resourceName] === undefined) continue;
    if (container.resizePolicy?.some(policy => policy.resourceName === resourceName)) continue;
    container.resizePolicy = [...(container.resizePolicy ?? []), { resourceName, restartPolicy: 'NotRequired' }];
  }
}

/** What is limited and not requested is requested up to the limit. */
function requestLimits(container: Container): void {
  const { resources } = container;
  if (!resources?.limits) return;
  resources.requests = { ...resources.limits, ...resources.requests };
}
