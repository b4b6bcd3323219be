import type { Container, Pod } from '@naru/api';
import { cri } from '@naru/proto';
import { containerAnnotations, containerLabels } from '../cri/labels';
import { containerHash } from '../pods/container-hash';
import { expand } from './expand';
import { containerSecurityContext, type ImageUser, type SeccompSettings } from './security-context';

export interface ContainerConfigInput {
  pod: Pod;
  container: Container;
  attempt: number;
  /** How often all containers of the pod have been restarted together. */
  round: number;
  /** What the runtime calls the image: its id or digest. */
  imageRef: string;
  imageUser: ImageUser;
  env: Map<string, string>;
  mounts: cri.Mount[];
  devices: cri.Device[];
  /** In addition to the kubelet's own, of device plugins. */
  annotations: Readonly<Record<string, string>>;
  cdiDevices: readonly string[];
  /** Relative to the sandbox's log directory. */
  logPath: string;
  resources: cri.LinuxContainerResources;
  seccomp: SeccompSettings;
  userNamespace: cri.UserNamespace;
  /** The process whose PID namespace an ephemeral container joins. */
  targetContainerId?: string | undefined;
}

/** A container as CRI wants it. Throws ContainerConfigError when its spec cannot be carried out. */
export function containerConfig(input: ContainerConfigInput): cri.ContainerConfig {
  const { pod, container, attempt, round, env } = input;
  const lookUp = (name: string): string | undefined => env.get(name);
  const securityContext = containerSecurityContext(pod, container, input.imageUser, input.seccomp, input.userNamespace);
  // What is of one owner on the disk is to be so for the pod.
  const { uids: uidMappings, gids: gidMappings } = input.userNamespace;
  if (input.targetContainerId !== undefined && securityContext.namespaceOptions) {
    securityContext.namespaceOptions.pid = cri.NamespaceMode.TARGET;
    securityContext.namespaceOptions.targetId = input.targetContainerId;
  }
  return cri.ContainerConfig.fromPartial({
    metadata: { name: container.name, attempt },
    image: { image: input.imageRef, userSpecifiedImage: container.image ?? '' },
    command: (container.command ?? []).map(part => expand(part, lookUp)),
    args: (container.args ?? []).map(part => expand(part, lookUp)),
    workingDir: container.workingDir ?? '',
    envs: [...env].map(([key, value]) => ({ key, value })),
    mounts: input.mounts.map(mount => ({ ...mount, uidMappings, gidMappings })),
    devices: input.devices,
    labels: containerLabels(pod, container),
    annotations: {
      ...input.annotations,
      ...containerAnnotations(pod, container, { restartCount: attempt, hash: containerHash(container), round }),
    },
    CDIDevices: input.cdiDevices.map(name => ({ name })),
    logPath: input.logPath,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    linux: { resources: input.resources, securityContext },
    stopSignal: stopSignal(container.lifecycle?.stopSignal),
  });
}

function stopSignal(name: string | undefined): cri.Signal {
  const value = name === undefined ? undefined : (cri.Signal as unknown as Record<string, cri.Signal>)[name];
  return value ?? cri.Signal.RUNTIME_DEFAULT;
}
