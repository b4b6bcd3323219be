import { createPrivateKey, createPublicKey, createHash, type KeyObject } from 'node:crypto';
import { SignJWT, calculateJwkThumbprint, exportJWK, jwtVerify, type JWTPayload } from 'jose';
import { BoundedMap } from '@naru/foundation';

export const serviceAccountIssuer = 'https://kubernetes.default.svc.cluster.local';
/** What tokens are for when nobody says otherwise: this api-server. */
export const defaultAudience = serviceAccountIssuer;

/** Whom a token speaks for, and what it is bound to. */
export interface TokenSubject {
  namespace: string;
  serviceAccount: { name: string; uid: string };
  pod?: { name: string; uid: string } | undefined;
  node?: { name: string; uid: string } | undefined;
  secret?: { name: string; uid: string } | undefined;
}

export interface VerifiedToken extends TokenSubject {
  id: string;
  expiresAtMs: number;
  audiences: string[];
}

interface KubernetesClaims extends JWTPayload {
  'kubernetes.io'?: {
    namespace: string;
    serviceaccount: { name: string; uid: string };
    pod?: { name: string; uid: string };
    node?: { name: string; uid: string };
    secret?: { name: string; uid: string };
  };
}

/** Verified tokens that are kept, so that a busy client costs one signature check. */
const maxCached = 2000;

/** Makes and checks service account tokens: JWTs signed with ES256. */
export class ServiceAccountTokens {
  private readonly verified = new BoundedMap<string, VerifiedToken>(maxCached);

  private constructor(
    private readonly privateKey: KeyObject,
    private readonly publicKey: KeyObject,
    private readonly keyId: string,
  ) {}

  /** @throws Error when the PEM is not a P-256 private key. */
  static async load(pem: string): Promise<ServiceAccountTokens> {
    const privateKey = createPrivateKey(pem);
    if (privateKey.asymmetricKeyType !== 'ec')
      throw new Error('Cannot load the service account key: it is not an EC private key');
    const publicKey = createPublicKey(privateKey);
    const keyId = await calculateJwkThumbprint(await exportJWK(publicKey));
    return new ServiceAccountTokens(privateKey, publicKey, keyId);
  }

  async issue(subject: TokenSubject, audiences: string[], nowMs: number, expirationSeconds: number): Promise<string> {
    const { namespace, serviceAccount, pod, node, secret } = subject;
    const now = Math.floor(nowMs / 1000);
    const claims = { namespace, serviceaccount: serviceAccount, pod, node, secret };
    return new SignJWT({ 'kubernetes.io': claims })
      .setProtectedHeader({ alg: 'ES256', kid: this.keyId })
      .setIssuer(serviceAccountIssuer)
      .setSubject(`system:serviceaccount:${namespace}:${serviceAccount.name}`)
      .setAudience(audiences)
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + expirationSeconds)
      .setJti(crypto.randomUUID())
      .sign(this.privateKey);
  }

  /** Undefined when it is not a valid token of ours. The caller checks that what it is bound to still exists. */
  async verify(token: string, nowMs: number): Promise<VerifiedToken | undefined> {
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.verified.get(key);
    if (known) return known.expiresAtMs > nowMs ? known : undefined;
    try {
      const { payload } = await jwtVerify<KubernetesClaims>(token, this.publicKey, {
        issuer: serviceAccountIssuer,
        algorithms: ['ES256'],
        currentDate: new Date(nowMs),
        requiredClaims: ['exp', 'sub', 'kubernetes.io'],
      });
      const claims = payload['kubernetes.io']!;
      const found: VerifiedToken = {
        namespace: claims.namespace,
        serviceAccount: claims.serviceaccount,
        pod: claims.pod,
        node: claims.node,
        secret: claims.secret,
        id: payload.jti ?? '',
        expiresAtMs: payload.exp! * 1000,
        audiences: [payload.aud ?? []].flat(),
      };
      this.verified.set(key, found);
      return found;
    } catch {
      // Whatever is wrong with it, it says nothing about who is calling.
      return undefined;
    }
  }

  /** For /openid/v1/jwks. */
  async jwks(): Promise<unknown> {
    return { keys: [{ ...(await exportJWK(this.publicKey)), use: 'sig', alg: 'ES256', kid: this.keyId }] };
  }
}
