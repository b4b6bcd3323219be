import { StatusError } from '@naru/foundation';
import { cri } from '@naru/proto';
import type { OciIdMapping } from '../spec/oci-types';

/** The ids of a pod in a user namespace of its own: what its containers see, and what they are on the node. */
export interface UserMappings {
  uids: OciIdMapping[];
  gids: OciIdMapping[];
  /** On the node, who is root in the pod. */
  root: { uid: number; gid: number };
}

/** The kernel takes so many; the kubelet sends one. Source: user_namespaces(7). */
const maxMappings = 340;

function ociMappings(mappings: readonly cri.IDMapping[], what: string): OciIdMapping[] {
  if (mappings.length === 0 || mappings.length > maxMappings)
    throw new StatusError('BadRequest', `a user namespace needs between 1 and ${maxMappings} mappings of ${what}`);
  return mappings.map(({ containerId, hostId, length }) => ({
    containerID: containerId,
    hostID: hostId,
    size: length,
  }));
}

function rootOf(mappings: readonly OciIdMapping[], what: string): number {
  const root = mappings.find(({ containerID }) => containerID === 0);
  if (!root || root.size === 0) throw new StatusError('BadRequest', `the mappings of ${what} must hold root (0)`);
  return root.hostID;
}

/** The user namespace that a sandbox asks for; undefined when it shares the node's. Throws BadRequest for one that cannot be. */
export function userMappings(options: cri.NamespaceOption | undefined): UserMappings | undefined {
  const { NODE, POD } = cri.NamespaceMode;
  const wanted = options?.usernsOptions;
  // POD is also what a request has that says nothing: only mappings tell them apart.
  if (!wanted || wanted.mode === NODE || (wanted.uids.length === 0 && wanted.gids.length === 0)) return undefined;
  if (wanted.mode !== POD)
    throw new StatusError('BadRequest', `unsupported user namespace mode ${cri.namespaceModeToJSON(wanted.mode)}`);
  const shared = (['network', 'pid', 'ipc'] as const).filter(name => options[name] === NODE);
  if (shared.length > 0)
    throw new StatusError(
      'BadRequest',
      `a pod with a user namespace of its own cannot be in the node's ${shared.join(', ')} namespace`,
    );
  const uids = ociMappings(wanted.uids, 'users');
  const gids = ociMappings(wanted.gids, 'groups');
  return { uids, gids, root: { uid: rootOf(uids, 'users'), gid: rootOf(gids, 'groups') } };
}
