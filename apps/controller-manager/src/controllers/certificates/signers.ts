import type { CertificateSigningRequest } from '@naru/api';
import type { ReadRequest } from '@naru/pki';

export const signers = {
  client: 'kubernetes.io/kube-apiserver-client',
  kubeletClient: 'kubernetes.io/kube-apiserver-client-kubelet',
  kubeletServing: 'kubernetes.io/kubelet-serving',
  legacy: 'kubernetes.io/legacy-unknown',
} as const;

const nodeGroup = 'system:nodes';
const nodePrefix = 'system:node:';

/** Why a request is not what its signer signs, in upstream's words. Undefined: it is. */
export function signerProblem({ spec }: CertificateSigningRequest, asked: ReadRequest): string | undefined {
  const usages = new Set(spec.usages as readonly string[] | undefined);
  const only = (needed: string): string | undefined => {
    const allowed = ['digital signature', 'key encipherment', needed];
    if (![...usages].every(usage => allowed.includes(usage)) || !usages.has(needed))
      return `usages did not match ${JSON.stringify(allowed)}`;
    return undefined;
  };
  const names = asked.dnsNames.length + asked.ipAddresses.length;
  switch (spec.signerName) {
    case signers.client:
      return only('client auth');
    case signers.kubeletClient:
      if (names > 0) return 'DNS or IP subjectAltNames are not allowed';
      return nodeProblem(asked) ?? only('client auth');
    case signers.kubeletServing:
      if (names === 0) return 'at least one DNS or IP subjectAltName is required';
      return nodeProblem(asked) ?? only('server auth');
    default:
      return undefined;
  }
}

function nodeProblem({ subject }: ReadRequest): string | undefined {
  const { commonName, organizations = [] } = subject;
  if (organizations.length !== 1 || organizations[0] !== nodeGroup) return `subject organization is not ${nodeGroup}`;
  return commonName.startsWith(nodePrefix) ? undefined : `subject common name does not begin with ${nodePrefix}`;
}

export function hasCondition(csr: CertificateSigningRequest, type: 'Approved' | 'Denied' | 'Failed'): boolean {
  return csr.status?.conditions?.some(condition => condition.type === type && condition.status !== 'False') ?? false;
}

export function requestText({ spec }: CertificateSigningRequest): string {
  return Buffer.from(spec.request, 'base64').toString();
}
