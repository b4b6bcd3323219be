import { randomBytes } from 'node:crypto';
import { StatusError } from '@naru/foundation';
import { certificateHash } from './inspect';

/** What a node needs in order to trust a cluster, and be trusted by it. */
export interface JoinToken {
  /** SHA-256 of the cluster authority's certificate (DER), lower-case hex. */
  authorityHash: string;
  secret: string;
}

/** A new secret of 128 random bits. */
export function createJoinSecret(): string {
  return randomBytes(16).toString('hex');
}

/** The token as people copy it: `naru1.<hash>.<secret>`. */
export function formatJoinToken(authorityCertificate: string, secret: string): string {
  return `naru1.${certificateHash(authorityCertificate)}.${secret}`;
}

/** Throws BadRequest, without repeating the token, when the form is another. */
export function parseJoinToken(token: string): JoinToken {
  const match = /^naru1\.([0-9a-f]{64})\.([A-Za-z0-9_-]{16,128})$/.exec(token.trim());
  if (!match) throw new StatusError('BadRequest', 'Cannot read join token: expected naru1.<64 hex digits>.<secret>');
  return { authorityHash: match[1]!, secret: match[2]! };
}
