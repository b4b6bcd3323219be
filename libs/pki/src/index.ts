export { Authority, createAuthority, type CertificateAndKey, type CertificateOptions } from './authority';
export { createRequest, readRequest, type ReadRequest, type RequestOptions } from './request';
export type { AlternativeNames, Subject } from './names';
export { createKey } from './keys';
export { certificateHash, isSignedBy, notAfter } from './inspect';
export { createJoinSecret, formatJoinToken, parseJoinToken, type JoinToken } from './join-token';
export { writeSecretFile } from './files';
export { busNames } from './bus';
