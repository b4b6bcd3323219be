import { validatingAdmissionPolicies } from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import { typeWarnings } from './type-warnings';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';

async function reconcile(key: string, { client, informers, readPath }: ControllerDeps): Promise<void> {
  const policy = informers.lister(validatingAdmissionPolicies).get(parseKey(key));
  if (!policy || policy.metadata.deletionTimestamp) return;
  const { name, uid, resourceVersion, generation } = policy.metadata;
  if (generation === undefined || policy.status?.observedGeneration === generation) return;
  const expressionWarnings = policy.spec ? await typeWarnings(policy.spec, readPath) : [];
  const typeChecking = { expressionWarnings: expressionWarnings.length > 0 ? expressionWarnings : null };
  const body = { metadata: { uid, resourceVersion }, status: { observedGeneration: generation, typeChecking } };
  try {
    await client.patch(validatingAdmissionPolicies, { name }, { type: 'merge', body }, { subresource: 'status' });
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
}

/**
 * Says which generation of a policy has been seen, and what of its expressions cannot be right for the kinds that it is
 * about. All of them compile: the api-server refuses others.
 */
export const validatingAdmissionPolicyStatusController: Controller = {
  name: 'validatingadmissionpolicy-status-controller',
  watches: () => [watch(validatingAdmissionPolicies, policy => [objectKey(policy)])],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
