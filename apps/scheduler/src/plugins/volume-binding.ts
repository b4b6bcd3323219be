import {
  apiVersionOf,
  findMatchingVolume,
  isFullyBound,
  isReachableFrom,
  persistentVolumeClaims,
  persistentVolumes,
  storageClassOf,
  volumeAnnotations,
  type Node,
} from '@naru/api';
import { argumentFields } from '../config/plugin-args';
import { stateKey } from '../framework/cycle-state';
import { skip, unresolvable, type Status } from '../framework/status';
import type { Handle, Plugin, PluginFactory } from '../framework/types';
import { AssumedVolumes, type VolumeDecision } from '../storage/assumed-volumes';
import { provisioning } from '../storage/provisioning';
import { claimsOfPod, usesClaims, volumesOf, type Claim, type PodClaims, type Volume } from '../storage/pod-claims';

const claimsKey = stateKey<{ claims: PodClaims; volumes: (Volume | undefined)[] }>('VolumeBinding/claims');
const decisionsKey = stateKey<Map<string, VolumeDecision>>('VolumeBinding/decisions');

const unbound = unresolvable('pod has unbound immediate PersistentVolumeClaims');
const missing = unresolvable('node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)');
const elsewhere = unresolvable("node(s) didn't match PersistentVolume's node affinity");
const nothingFound = unresolvable("node(s) didn't find available persistent volumes to bind");
const noSpace = unresolvable('node(s) did not have enough free storage');

const { boundByController, selectedNode } = volumeAnnotations;
const defaultTimeoutSeconds = 600;

class VolumeBinder {
  private readonly assumed = new AssumedVolumes();

  constructor(
    private readonly handle: Handle,
    private readonly timeoutMs: number,
  ) {}

  /** What the claims need on the node, or why they cannot get it there. */
  decide(claims: readonly Claim[], node: Node): VolumeDecision | Status {
    const decision: VolumeDecision = { bindings: [], provisions: [] };
    const excluded = new Set(this.assumed.volumes);
    const nodeName = node.metadata?.name;
    // The hardest to satisfy choose first.
    for (const claim of claims) {
      const chosen = this.assumed.nodeOf(claim) ?? claim.metadata.annotations?.[selectedNode];
      if (chosen !== undefined && chosen !== nodeName) return nothingFound;
      if (chosen !== undefined) {
        decision.provisions.push(claim);
        continue;
      }
      const candidates = this.handle.storage.volumes.byIndex('class', storageClassOf(claim) ?? '');
      const volume = findMatchingVolume(claim, candidates, { node, excluded, waitsForConsumer: true });
      if (volume) {
        excluded.add(volume.metadata.name);
        decision.bindings.push({ claim, volume });
        continue;
      }
      const outlook = provisioning(claim, node, this.handle.storage);
      if (outlook !== 'possible') return outlook === 'no space' ? noSpace : nothingFound;
      decision.provisions.push(claim);
    }
    return decision;
  }

  reserve(podUid: string, nodeName: string, decision: VolumeDecision): void {
    this.assumed.add(podUid, nodeName, decision);
  }

  release(podUid: string): void {
    this.assumed.remove(podUid);
  }

  /** Writes the decision down and waits until the controllers have carried it out. */
  async bind(nodeName: string, { bindings, provisions }: VolumeDecision): Promise<Status | undefined> {
    for (const { claim, volume } of bindings) await this.reserveVolume(claim, volume);
    for (const claim of provisions) await this.selectNode(claim, nodeName);
    return this.untilBound([...bindings.map(({ claim }) => claim), ...provisions], nodeName);
  }

  private async reserveVolume(claim: Claim, volume: Volume): Promise<void> {
    const { namespace, name, uid, resourceVersion } = claim.metadata;
    if (volume.spec?.claimRef?.uid === uid) return;
    const type = persistentVolumeClaims;
    const claimRef = { apiVersion: apiVersionOf(type), kind: type.kind, namespace, name, uid, resourceVersion };
    const metadata = {
      resourceVersion: volume.metadata.resourceVersion,
      ...(volume.spec?.claimRef ? {} : { annotations: { [boundByController]: 'yes' } }),
    };
    const body = { metadata, spec: { claimRef } };
    await this.handle.client.patch(persistentVolumes, { name: volume.metadata.name }, { type: 'merge', body });
  }

  private async selectNode({ metadata }: Claim, nodeName: string): Promise<void> {
    const { namespace, name, uid, resourceVersion, annotations } = metadata;
    if (annotations?.[selectedNode] === nodeName) return;
    const body = { metadata: { uid, resourceVersion, annotations: { [selectedNode]: nodeName } } };
    await this.handle.client.patch(persistentVolumeClaims, { namespace, name }, { type: 'merge', body });
  }

  private untilBound(claims: readonly Claim[], nodeName: string): Promise<Status | undefined> {
    const { storage, clock } = this.handle;
    return this.handle.whileWaiting(
      new Promise(resolve => {
        let written = false;
        const look = (): void => {
          const current = claims.map(({ metadata }) => storage.claims.get(metadata));
          const gone = claims[current.findIndex((claim, i) => claim?.metadata.uid !== claims[i]?.metadata.uid)];
          if (gone) return end(unresolvable(`persistentvolumeclaim "${gone.metadata.name}" not found`));
          const open = current.filter(claim => claim && !isFullyBound(claim));
          if (open.length === 0) return end(undefined);
          const chosen = open.map(claim => claim?.metadata.annotations?.[selectedNode]);
          // Our annotation shows later than it was written; when it goes again, the provisioner has given up.
          if (chosen.includes(nodeName)) written = true;
          else if (written) end(unresolvable(`provisioning failed for PVC "${open[0]?.metadata.name ?? ''}"`));
        };
        const end = (status: Status | undefined): void => {
          stop();
          cancel();
          resolve(status);
        };
        const stop = storage.onClaim(look);
        const cancel = clock.after(this.timeoutMs, () =>
          end(unresolvable('binding volumes: context deadline exceeded')),
        );
        look();
      }),
    );
  }
}

const isDecision = (outcome: VolumeDecision | Status): outcome is VolumeDecision => 'provisions' in outcome;

function build(handle: Handle, timeoutMs: number): Plugin {
  const binder = new VolumeBinder(handle, timeoutMs);
  return {
    preFilter(state, { pod }) {
      if (!usesClaims(pod)) return skip;
      const claims = claimsOfPod(pod, handle.storage);
      if (typeof claims === 'string') return unresolvable(claims);
      if (claims.immediate.length > 0) return unbound;
      state.write(claimsKey, { claims, volumes: volumesOf(claims.bound, handle.storage) });
      state.write(decisionsKey, new Map());
      return undefined;
    },
    filter(state, _pod, { name, node }) {
      const found = state.read(claimsKey);
      if (!found || !node) return undefined;
      for (const volume of found.volumes) {
        if (!volume) return missing;
        if (!isReachableFrom(volume, node)) return elsewhere;
      }
      if (found.claims.delayed.length === 0) return undefined;
      const decision = binder.decide(found.claims.delayed, node);
      if (!isDecision(decision)) return decision;
      state.read(decisionsKey)?.set(name, decision);
      return undefined;
    },
    reserve(state, pod, nodeName) {
      const node = handle.cache.getNode(nodeName)?.node;
      const claims = usesClaims(pod.pod) ? claimsOfPod(pod.pod, handle.storage) : undefined;
      if (!claims || typeof claims === 'string' || claims.delayed.length === 0) return undefined;
      // A node that was nominated has not been filtered in this cycle.
      const decision = state.read(decisionsKey)?.get(nodeName) ?? (node && binder.decide(claims.delayed, node));
      if (!decision || !isDecision(decision)) return decision ?? nothingFound;
      state.write(decisionsKey, new Map([[nodeName, decision]]));
      binder.reserve(pod.uid, nodeName, decision);
      return undefined;
    },
    unreserve: (_state, pod) => binder.release(pod.uid),
    async preBind(state, pod, nodeName) {
      const decision = state.read(decisionsKey)?.get(nodeName);
      const refused = decision && (await binder.bind(nodeName, decision));
      if (!refused) binder.release(pod.uid);
      return refused;
    },
  };
}

/** Finds nodes where the pod's claims have their volumes or can get them, and has those bound before the pod. */
export const volumeBinding: PluginFactory = {
  name: 'VolumeBinding',
  requeueOn: [
    ...(['ClaimChange', 'VolumeChange', 'StorageClassChange', 'CSIDriverChange', 'CSIStorageCapacityGrowth'] as const),
    ...(['NodeAdd', 'NodeLabels', 'PodUpdate'] as const),
  ],
  build: handle => build(handle, defaultTimeoutSeconds * 1000),
  configure(args) {
    const { bindTimeoutSeconds } = argumentFields(args, 'bindTimeoutSeconds', 'shape');
    const seconds = bindTimeoutSeconds.integer({ min: 0, max: 86_400, fallback: defaultTimeoutSeconds });
    return handle => build(handle, seconds * 1000);
  },
};
