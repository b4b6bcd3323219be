import { compileLabelMap, pods, replicationControllers, type ReplicationController } from '@naru/api';
import { objectKey } from '@naru/client';
import { watch, type Controller } from '../../framework/controller';
import { keysOfPod, ReplicaReconciler, type ReplicaKind } from '../replicaset/replicaset-controller';

const kind: ReplicaKind<ReplicationController> = {
  type: replicationControllers,
  matcher: ({ spec }) => {
    const selector = spec?.selector ?? {};
    return Object.keys(selector).length > 0 ? compileLabelMap(selector) : () => false;
  },
};

/** The predecessor of ReplicaSets, which some still use. */
export const replicationController: Controller = {
  name: 'replicationcontroller-controller',
  eventSource: 'replication-controller',
  watches: ({ informers }) => [
    watch(replicationControllers, set => [objectKey(set)]),
    watch(pods, keysOfPod(informers, kind)),
  ],
  build(deps) {
    const reconciler = new ReplicaReconciler(deps, kind);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
