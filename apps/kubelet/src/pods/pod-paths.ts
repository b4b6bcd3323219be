import path from 'node:path';
import type { Pod } from '@naru/api';

/** Where a pod's files are. The layout is upstream's, so that its documentation and tools apply. */
export class PodPaths {
  constructor(
    readonly rootDir: string,
    readonly logsDir: string,
    /** A tmpfs for what must not reach a disk: secrets, tokens. */
    readonly memoryDir: string,
  ) {}

  get pods(): string {
    return path.join(this.rootDir, 'pods');
  }

  /** Where Localhost seccomp profiles are. */
  get seccomp(): string {
    return path.join(this.rootDir, 'seccomp');
  }

  /** Where the states of containers are kept that somebody has asked for. */
  get checkpoints(): string {
    return path.join(this.rootDir, 'checkpoints');
  }

  /** Where plugins announce themselves by a socket. */
  get pluginsRegistry(): string {
    return path.join(this.rootDir, 'plugins_registry');
  }

  /** What CSI volumes need beside the directories of their pods. */
  csi(...parts: string[]): string {
    return path.join(this.rootDir, 'plugins', 'kubernetes.io', 'csi', ...parts);
  }

  pod(uid: string): string {
    return path.join(this.pods, uid);
  }

  memoryPod(uid: string): string {
    return path.join(this.memoryDir, uid);
  }

  hosts(uid: string): string {
    return path.join(this.pod(uid), 'etc-hosts');
  }

  volume(uid: string, plugin: string, name: string, inMemory: boolean): string {
    const pod = inMemory ? this.memoryPod(uid) : this.pod(uid);
    return path.join(pod, 'volumes', `kubernetes.io~${plugin}`, name);
  }

  subPath(uid: string, volume: string, container: string, index: number): string {
    return path.join(this.pod(uid), 'volume-subpaths', volume, container, String(index));
  }

  /** The file behind a container's terminationMessagePath. */
  terminationMessage(uid: string, container: string, attempt: number): string {
    return path.join(this.pod(uid), 'containers', container, String(attempt));
  }

  logs(pod: Pod): string {
    const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
    return this.logsOf(uid, namespace, name);
  }

  logsOf(uid: string, namespace: string, name: string): string {
    return path.join(this.logsDir, `${namespace}_${name}_${uid}`);
  }

  /** Relative to the pod's log directory, as CRI wants it. */
  containerLog(container: string, attempt: number): string {
    return path.join(container, `${attempt}.log`);
  }
}
