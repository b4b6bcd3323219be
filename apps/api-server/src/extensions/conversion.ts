import type { AnyDefinition, CustomResourceDefinition, KubeObject, ResourceType, StoredAs } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import { convertByWebhook, type ResolveService } from './conversion-webhook';

/** Kind, group and version are at most so long. */
const maxOpening = 480;

/**
 * How the objects of one version of a custom resource become those that are stored, and back. Objects may lie in the
 * store in any version that was ever the storage version.
 */
export class Conversion implements StoredAs {
  /** By committed bytes, which live as long as the object is as it is. */
  private readonly shown = new WeakMap<Buffer, Buffer>();
  /** The row of the version; set after the row is made with this. */
  definition: AnyDefinition | undefined;

  constructor(
    private readonly crd: CustomResourceDefinition,
    readonly type: ResourceType,
    private readonly version: string,
    private readonly resolve: ResolveService,
  ) {}

  toStored(object: KubeObject): KubeObject | Promise<KubeObject> {
    const wanted = `${this.type.group}/${this.type.version}`;
    if (object.apiVersion === wanted) return object;
    const { webhook } = this;
    if (!webhook) return { ...object, apiVersion: wanted };
    return convertByWebhook(webhook, this.resolve, [object], wanted).then(([converted]) => converted!);
  }

  /** Without a webhook only; committed objects go by `fromStoredBytes`. */
  fromStored(stored: KubeObject): KubeObject {
    return this.finish({ ...stored, apiVersion: this.apiVersion });
  }

  fromStoredBytes(bytes: Buffer): Buffer {
    if (this.isShown(bytes)) return bytes;
    let shown = this.shown.get(bytes);
    if (shown) return shown;
    const stored = decodeBytes(bytes);
    if (this.webhook) throw new Error('Cannot show an object that has not been converted: await prepare first');
    shown = this.encode(this.fromStored(stored));
    this.shown.set(bytes, shown);
    return shown;
  }

  prepare(all: readonly Buffer[], signal?: AbortSignal): Promise<void> | undefined {
    if (!this.webhook) return undefined;
    const missing = all.filter(bytes => bytes.length > 0 && !this.shown.has(bytes) && !this.isShown(bytes));
    if (missing.length === 0) return undefined;
    return this.convertAll(missing, signal);
  }

  private async convertAll(missing: readonly Buffer[], signal: AbortSignal | undefined): Promise<void> {
    const objects = missing.map(bytes => decodeBytes(bytes));
    const converted = await convertByWebhook(this.webhook!, this.resolve, objects, this.apiVersion, signal);
    for (const [index, object] of converted.entries())
      this.shown.set(missing[index]!, this.encode(this.finish(object)));
  }

  /** Whether it lies in the store in this version: kind and apiVersion come first. */
  private isShown(bytes: Buffer): boolean {
    return bytes.subarray(0, maxOpening).includes(`"apiVersion":"${this.apiVersion}"`);
  }

  private get apiVersion(): string {
    return `${this.type.group}/${this.version}`;
  }

  private get webhook() {
    const { conversion } = this.crd.spec;
    return conversion?.strategy === 'Webhook' ? conversion.webhook : undefined;
  }

  private finish(object: KubeObject): KubeObject {
    this.definition?.normalize?.(object);
    return object;
  }

  /** In the order of keys in which committed objects are. */
  private encode({ kind, apiVersion, metadata, ...rest }: KubeObject): Buffer {
    const { resourceVersion, ...others } = metadata ?? {};
    return Buffer.from(JSON.stringify({ kind, apiVersion, metadata: { resourceVersion, ...others }, ...rest }));
  }
}
