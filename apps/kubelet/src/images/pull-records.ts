import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { cri } from '@naru/proto';
import { formatTime } from '@naru/foundation';
import type { KubeletConfiguration } from '../config/kubelet-configuration';

/** A pull secret that let an image in. The hash is of the credential itself: a secret that changes is still the same secret. */
export interface PullSecret {
  uid: string;
  namespace: string;
  name: string;
  credentialHash: string;
}

/** Who may use an image: all pods of the node, as nobody asked for credentials, or those with one of the secrets. */
interface Access {
  nodePodsAccessible?: boolean;
  kubernetesSecrets?: PullSecret[];
}

interface PulledRecord {
  lastUpdatedTime: string;
  imageRef: string;
  /** By the image's name without tag and digest. */
  credentialMapping: Record<string, Access>;
}

export const verificationPolicies = [
  'NeverVerify',
  'NeverVerifyPreloadedImages',
  'NeverVerifyAllowlistedImages',
  'AlwaysVerify',
];

export interface PullRecordsDeps {
  /** ROOT/image_manager */
  directory: string;
  /** One of `verificationPolicies`. */
  policy: string;
  /** Images without tag, or beginnings of names that end in `/*`. */
  allowlist: readonly string[];
  now: () => number;
}

const apiVersion = 'kubelet.config.k8s.io/v1beta1';
/** A record is not written on for more secrets than so while it is only read. */
const mostSecrets = 100;

function repository(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
}

/**
 * Remembers with which credentials images were pulled, so that an image on this node is no way around the registry's doorkeeper: a pod without them
 * has to pull it itself. The files are upstream's (ImagePullIntent, ImagePulledRecord). Source: pkg/kubelet/images/pullmanager.
 */
export class PullRecords {
  private readonly pulling = new Map<string, number>();
  private readonly directories: { pulling: string; pulled: string };

  constructor(private readonly deps: PullRecordsDeps) {
    const at = (name: string): string => path.join(deps.directory, name);
    this.directories = { pulling: at('pulling'), pulled: at('pulled') };
    for (const directory of Object.values(this.directories)) fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Whether a pod with such secrets may use an image that is on this node; if not it has to pull it. */
  mayUse(image: string, imageRef: string, secrets: readonly PullSecret[]): boolean {
    const record = this.read(imageRef);
    // Also when what is written down cannot be read.
    const pulledByUs = fs.existsSync(this.recordFile(imageRef)) || this.isPulling(image);
    if (!this.mustVerify(image, pulledByUs)) return true;
    const access = record?.credentialMapping[repository(image)];
    if (access?.nodePodsAccessible) return true;
    for (const secret of secrets) {
      for (const known of access?.kubernetesSecrets ?? []) {
        const sameHash = known.credentialHash === secret.credentialHash;
        if (!sameHash && !isSameSecret(known, secret)) continue;
        const isNew = !sameHash || !isSameSecret(known, secret);
        // It counts from now on by itself, also when the other has gone.
        if (isNew && (access?.kubernetesSecrets ?? []).length < mostSecrets) this.record(image, imageRef, secret);
        return true;
      }
    }
    return false;
  }

  /** Before a pull: whatever happens to this process meanwhile, the image is known as one that was pulled. */
  begin(image: string): void {
    // First what can fail: a full disk ends the pull, and nobody says of it that it has ended.
    this.write(this.intentFile(image), { kind: 'ImagePullIntent', apiVersion, image });
    this.pulling.set(image, (this.pulling.get(image) ?? 0) + 1);
  }

  /** After a pull; `secret`: whose credentials the registry took, undefined when none were needed. */
  succeeded(image: string, imageRef: string, secret: PullSecret | undefined): void {
    this.record(image, imageRef, secret ?? 'everybody');
    this.ended(image);
  }

  failed(image: string): void {
    this.ended(image);
  }

  /** The image has gone from the node. */
  forget(imageRef: string): void {
    fs.rmSync(this.recordFile(imageRef), { force: true });
  }

  /**
   * At a start. A pull that ended unobserved has a record without credentials: who wants the image has to show some. Records of images that have gone
   * meanwhile go too.
   */
  recover(images: readonly cri.Image[]): void {
    for (const name of fs.readdirSync(this.directories.pulling)) {
      const file = path.join(this.directories.pulling, name);
      const { image } = (readJson(file) ?? {}) as { image?: string };
      const present = images.find(
        ({ repoTags, repoDigests }) => image && [...repoTags, ...repoDigests].includes(image),
      );
      if (present && image) this.record(image, present.id, undefined);
      fs.rmSync(file);
    }
    const known = new Set(images.map(({ id }) => path.basename(this.recordFile(id))));
    for (const name of fs.readdirSync(this.directories.pulled))
      if (!known.has(name)) fs.rmSync(path.join(this.directories.pulled, name));
  }

  private mustVerify(image: string, pulledByUs: boolean): boolean {
    switch (this.deps.policy) {
      case 'NeverVerify':
        return false;
      case 'AlwaysVerify':
        return true;
      case 'NeverVerifyAllowlistedImages':
        return pulledByUs || !this.isAllowlisted(repository(image));
      default:
        return pulledByUs;
    }
  }

  private isAllowlisted(name: string): boolean {
    return this.deps.allowlist.some(each => (each.endsWith('/*') ? name.startsWith(each.slice(0, -1)) : name === each));
  }

  private isPulling(image: string): boolean {
    return this.pulling.has(image) || fs.existsSync(this.intentFile(image));
  }

  private ended(image: string): void {
    const others = (this.pulling.get(image) ?? 1) - 1;
    if (others > 0) return void this.pulling.set(image, others);
    this.pulling.delete(image);
    fs.rmSync(this.intentFile(image), { force: true });
  }

  private record(image: string, imageRef: string, access: PullSecret | 'everybody' | undefined): void {
    const { credentialMapping = {} } = this.read(imageRef) ?? {};
    const before = credentialMapping[repository(image)];
    if (access === 'everybody') credentialMapping[repository(image)] = { nodePodsAccessible: true };
    else if (access && !before?.nodePodsAccessible) {
      const others = (before?.kubernetesSecrets ?? []).filter(known => !isSameSecret(known, access));
      credentialMapping[repository(image)] = { kubernetesSecrets: [...others, access] };
    }
    const lastUpdatedTime = formatTime(this.deps.now());
    this.write(this.recordFile(imageRef), {
      ...{ kind: 'ImagePulledRecord', apiVersion, lastUpdatedTime, imageRef },
      credentialMapping,
    });
  }

  private read(imageRef: string): PulledRecord | undefined {
    return readJson(this.recordFile(imageRef)) as PulledRecord | undefined;
  }

  private write(file: string, content: unknown): void {
    fs.writeFileSync(`${file}.new`, JSON.stringify(content), { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
  }

  private intentFile(image: string): string {
    return path.join(this.directories.pulling, `sha256-${hashOf(image)}`);
  }

  private recordFile(imageRef: string): string {
    return path.join(this.directories.pulled, `sha256-${hashOf(imageRef)}`);
  }
}

/** As the kubelet's configuration has them. */
export function pullRecords(rootDir: string, configuration: KubeletConfiguration, now: () => number): PullRecords {
  return new PullRecords({
    directory: path.join(rootDir, 'image_manager'),
    policy: configuration.imagePullCredentialsVerificationPolicy,
    allowlist: configuration.preloadedImagesVerificationAllowlist,
    now,
  });
}

function isSameSecret(one: PullSecret, other: PullSecret): boolean {
  return one.uid === other.uid && one.namespace === other.namespace && one.name === other.name;
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What cannot be read is as good as nothing: credentials are then asked for. */
function readJson(file: string): unknown {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
