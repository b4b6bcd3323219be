import {
  certificateSigningRequests,
  subjectAccessReviews,
  type CertificateSigningRequest,
  type KubeObject,
  type ResourceType,
  type Stored,
} from '@naru/api';
import { notAfter, readRequest, Authority, type ReadRequest } from '@naru/pki';
import type { ReconcileResult } from '@naru/client';
import { formatTime, isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { hasCondition, requestText, signerProblem, signers } from './signers';

interface AccessReview extends KubeObject {
  spec: object;
  status?: { allowed?: boolean };
}

type Request = Stored<CertificateSigningRequest>;
const secondsPerDay = 86_400;
const hourMs = 3_600_000;

function controllerOfRequests(
  name: string,
  reconcileWith: (deps: ControllerDeps) => (csr: Request) => Promise<ReconcileResult>,
): Controller {
  return {
    name,
    watches: () => [watch(certificateSigningRequests, ({ metadata }) => [metadata.name])],
    build(deps) {
      const reconcile = reconcileWith(deps);
      return {
        async reconcile(key) {
          const csr = deps.informers.lister(certificateSigningRequests).get({ name: key });
          return csr ? reconcile(csr) : undefined;
        },
      };
    },
  };
}

async function readQuietly(csr: Request): Promise<ReadRequest | undefined> {
  return readRequest(requestText(csr)).catch(() => undefined);
}

/** Approves what kubelets ask for themselves, if whoever asks may ask for that. */
export const csrApprovingController = controllerOfRequests(
  'certificatesigningrequest-approving-controller',
  deps => async csr => {
    const { spec, status } = csr;
    if (status?.certificate || hasCondition(csr, 'Approved') || hasCondition(csr, 'Denied')) return undefined;
    if (spec.signerName !== signers.kubeletClient) return undefined;
    const asked = await readQuietly(csr);
    if (!asked || signerProblem(csr, asked)) return undefined;
    const own = asked.subject.commonName === spec.username;
    for (const [subresource, message] of [
      ...(own ? [['selfnodeclient', 'Auto approving self kubelet client certificate after SubjectAccessReview.']] : []),
      ['nodeclient', 'Auto approving kubelet client certificate after SubjectAccessReview.'],
    ] as [string, string][]) {
      const { group, resource } = certificateSigningRequests;
      const review = await deps.client.create(subjectAccessReviews as ResourceType<AccessReview>, {
        spec: {
          user: spec.username ?? '',
          ...(spec.groups ? { groups: spec.groups } : {}),
          ...(spec.uid ? { uid: spec.uid } : {}),
          resourceAttributes: { group, resource, verb: 'create', subresource, version: '*' },
        },
      });
      if (!review.status?.allowed) continue;
      const time = formatTime(deps.clock.now());
      const approved = {
        type: 'Approved',
        status: 'True',
        reason: 'AutoApproved',
        message,
        lastUpdateTime: time,
        lastTransitionTime: time,
      };
      const conditions = [...(status?.conditions ?? []), approved];
      await deps.client.update(
        certificateSigningRequests,
        { ...csr, status: { ...status, conditions } },
        { subresource: 'approval' },
      );
      return undefined;
    }
    return undefined;
  },
);

/** Signs what was approved with the authority of the cluster. */
export const csrSigningController = controllerOfRequests('certificatesigningrequest-signing-controller', deps => {
  let authority: Promise<Authority> | undefined;
  return async csr => {
    const { spec, status } = csr;
    const { signing } = deps.config;
    const ours = (Object.values(signers) as string[]).includes(spec.signerName);
    if (!signing || !ours || status?.certificate || !hasCondition(csr, 'Approved')) return undefined;
    if (hasCondition(csr, 'Denied') || hasCondition(csr, 'Failed')) return undefined;
    const write = (change: Partial<NonNullable<CertificateSigningRequest['status']>>) =>
      deps.client.update(
        certificateSigningRequests,
        { ...csr, status: { ...status, ...change } },
        { subresource: 'status' },
      );
    const asked = await readRequest(requestText(csr)).catch((error: unknown) => error as Error);
    const problem = asked instanceof Error ? asked.message : signerProblem(csr, asked);
    if (problem !== undefined || asked instanceof Error) {
      const time = formatTime(deps.clock.now());
      const failed = {
        type: 'Failed',
        status: 'True',
        reason: 'SignerValidationFailure',
        message: problem ?? '',
        lastUpdateTime: time,
        lastTransitionTime: time,
      };
      await write({ conditions: [...(status?.conditions ?? []), failed] });
      return undefined;
    }
    const wanted = spec.usages as readonly string[];
    const certificate = await (
      await (authority ??= Authority.load(signing))
    ).sign(requestText(csr), {
      ...asked,
      usages: [
        ...(wanted.includes('client auth') ? (['client'] as const) : []),
        ...(wanted.includes('server auth') ? (['server'] as const) : []),
      ],
      days: Math.min(spec.expirationSeconds ?? Infinity, signing.maxSeconds) / secondsPerDay,
    });
    await write({ certificate: Buffer.from(certificate).toString('base64') });
    return undefined;
  };
});

/** When a request is of no further use: some time after it was answered, or when its certificate has run out. */
function endOf(csr: Request): number {
  const timeOf = (type: string): number | undefined => {
    const condition = csr.status?.conditions?.find(each => each.type === type);
    return condition && Date.parse(condition.lastUpdateTime ?? csr.metadata.creationTimestamp ?? '');
  };
  const created = Date.parse(csr.metadata.creationTimestamp ?? '');
  const answered = timeOf('Denied') ?? timeOf('Failed') ?? timeOf('Approved');
  return answered === undefined ? created + 24 * hourMs : answered + hourMs;
}

/** Removes requests that are done with. */
export const csrCleanerController = controllerOfRequests(
  'certificatesigningrequest-cleaner-controller',
  deps => async csr => {
    const { certificate } = csr.status ?? {};
    const runsOut = certificate ? notAfter(Buffer.from(certificate, 'base64').toString()) : Infinity;
    const left = Math.min(endOf(csr), runsOut) - deps.clock.now();
    if (left > 0) return { requeueAfterMs: left + 1 };
    const { name, uid } = csr.metadata;
    try {
      await deps.client.delete(certificateSigningRequests, { name }, { preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
    return undefined;
  },
);
