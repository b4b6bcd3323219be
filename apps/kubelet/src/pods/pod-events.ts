import type { KubeObject, Node, PersistentVolumeClaim, Pod } from '@naru/api';
import type { EventInput } from '@naru/client';

interface Recorder {
  record(about: KubeObject, input: EventInput): void;
}

/** Events about pods and this node, with the object and field path that `kubectl describe` groups by. */
export class PodEvents {
  constructor(private readonly recorder: Recorder) {}

  pod(pod: Pod, type: EventInput['type'], reason: string, message: string): void {
    this.recorder.record(named(pod), { type, reason, message });
  }

  container(pod: Pod, container: string, type: EventInput['type'], reason: string, message: string): void {
    const { spec } = pod;
    const list = spec?.initContainers?.some(({ name }) => name === container)
      ? 'initContainers'
      : spec?.ephemeralContainers?.some(({ name }) => name === container)
        ? 'ephemeralContainers'
        : 'containers';
    this.recorder.record(named(pod), { type, reason, message, fieldPath: `spec.${list}{${container}}` });
  }

  claim(claim: PersistentVolumeClaim, type: EventInput['type'], reason: string, message: string): void {
    const about = { ...claim, apiVersion: 'v1', kind: 'PersistentVolumeClaim' };
    this.recorder.record(about, { type, reason, message });
  }

  node(node: Node, type: EventInput['type'], reason: string, message: string): void {
    // Upstream's node events carry the name as uid: the kubelet may not know the Node's own yet.
    const { name = '' } = node.metadata ?? {};
    const about = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
    this.recorder.record(about, { type, reason, message });
  }
}

/** Objects out of a list carry no kind. */
function named(pod: Pod): Pod {
  return { ...pod, apiVersion: 'v1', kind: 'Pod' };
}
