import { cri } from '@naru/proto';
import type { NamedImage } from '../images/image-store';
import type { ContainerRecord } from '../containers/container-record';
import { containerState } from '../containers/containers';
import type { SandboxRecord } from '../sandboxes/sandbox-record';
import { numericId } from '../spec/users';

/** Records in the words of the CRI. */

function imageSpec(record: ContainerRecord, image: NamedImage | undefined): cri.ImageSpec {
  const given = record.config.image ?? cri.ImageSpec.fromPartial({});
  return { ...given, image: image?.tags[0] ?? (given.userSpecifiedImage || given.image) };
}

export function sandboxState(record: SandboxRecord): cri.PodSandboxState {
  return record.phase === 'ready' ? cri.PodSandboxState.SANDBOX_READY : cri.PodSandboxState.SANDBOX_NOTREADY;
}

export function sandboxView(record: SandboxRecord): cri.PodSandbox {
  const { metadata, labels, annotations } = record.config;
  return {
    id: record.id,
    metadata,
    state: sandboxState(record),
    createdAt: record.createdAt,
    labels,
    annotations,
    runtimeHandler: record.runtimeHandler,
  };
}

export function sandboxStatus(record: SandboxRecord): cri.PodSandboxStatus {
  const [ip = '', ...others] = record.ips;
  return {
    ...sandboxView(record),
    network: { ip, additionalIps: others.map(other => ({ ip: other })) },
    linux: { namespaces: { options: record.config.linux?.securityContext?.namespaceOptions } },
  };
}

export function containerView(record: ContainerRecord, image: NamedImage | undefined): cri.Container {
  const { metadata, labels, annotations } = record.config;
  return {
    ...{ id: record.id, podSandboxId: record.sandboxId, metadata, labels, annotations },
    ...{ image: imageSpec(record, image), imageRef: record.imageRef, imageId: record.imageId },
    ...{ state: containerState(record), createdAt: record.createdAt },
  };
}

function exitReason(record: ContainerRecord): string {
  if (!record.exit) return '';
  return record.exit.reason || (record.exit.code === 0 ? 'Completed' : 'Error');
}

export function containerStatus(record: ContainerRecord, image: NamedImage | undefined): cri.ContainerStatus {
  const { metadata, labels, annotations, mounts, linux } = record.config;
  const { uid, gid, additionalGids } = record.user;
  return {
    ...{ id: record.id, metadata, labels, annotations, mounts, state: containerState(record) },
    ...{ image: imageSpec(record, image), imageRef: record.imageRef, imageId: record.imageId },
    ...{ createdAt: record.createdAt, startedAt: record.startedAt, finishedAt: record.exit?.finishedAt ?? 0n },
    ...{ exitCode: record.exit?.code ?? 0, reason: exitReason(record), message: record.exit?.message ?? '' },
    ...{ logPath: record.logPath, resources: { linux: linux?.resources }, stopSignal: record.stopSignal },
    user: { linux: { uid: BigInt(uid), gid: BigInt(gid), supplementalGroups: additionalGids.map(BigInt) } },
  };
}

/** True when an object has every label that a selector asks for. */
export function matchesLabels(labels: Record<string, string>, selector: Record<string, string>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

export function imageView(image: NamedImage): cri.Image {
  const [user = ''] = (image.config.config?.User ?? '').split(':');
  const uid = numericId(user);
  return {
    ...{
      id: image.id,
      repoTags: image.tags,
      repoDigests: image.digests,
      size: BigInt(image.size),
      pinned: image.pinned ?? false,
    },
    ...{ uid: uid === undefined ? undefined : { value: BigInt(uid) }, username: uid === undefined ? user : '' },
    spec: undefined,
  };
}
