import type { AnyDefinition, CustomResourceDefinition, KubeObject, ResourceType, StoredAs } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { ResolveService } from '../webhooks/webhook-client';
import { convertByWebhook } from './conversion-webhook';

/**
 * How the objects of one version of a custom resource become those that are stored, and back. Objects may lie in the
 * store in any version that was ever the storage version.
 */
export class Conversion implements StoredAs {
  /** By committed bytes, which live as long as the object is as it is. */
  private readonly shown = new WeakMap<Buffer, Buffer>();
  readonly type: ResourceType;
  /** How committed objects of this version begin. */
  private readonly opening: Buffer;
  /** The row of the version; set after the row is made with this. */
  definition: AnyDefinition | undefined;

  constructor(
    private readonly crd: CustomResourceDefinition,
    /** The row of the version in which objects are stored. */
    private readonly stored: AnyDefinition,
    private readonly version: string,
    private readonly resolve: ResolveService,
  ) {
    const { type } = stored;
    const { kind, group } = type;
    this.type = type;
    this.opening = Buffer.from(
      `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(`${group}/${version}`)},`,
    );
  }

  toStored(object: KubeObject): KubeObject | Promise<KubeObject> {
    const wanted = `${this.type.group}/${this.type.version}`;
    if (object.apiVersion === wanted) return object;
    const { webhook } = this;
    // What the stored version does not know is lost, as upstream.
    if (!webhook) return finish({ ...structuredClone(object), apiVersion: wanted }, this.stored);
    return convertByWebhook(webhook, this.resolve, [object], wanted).then(([converted]) =>
      finish(converted!, this.stored),
    );
  }

  /** Without a webhook only; committed objects go by `fromStoredBytes`. */
  fromStored(stored: KubeObject): KubeObject {
    return finish({ ...stored, apiVersion: this.apiVersion }, this.definition);
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
      this.shown.set(missing[index]!, this.encode(finish(object, this.definition)));
  }

  /** Whether it lies in the store in this version: kind and apiVersion come first. */
  private isShown(bytes: Buffer): boolean {
    const { opening } = this;
    return bytes.length > opening.length && bytes.compare(opening, 0, opening.length, 0, opening.length) === 0;
  }

  private get apiVersion(): string {
    return `${this.type.group}/${this.version}`;
  }

  private get webhook() {
    const { conversion } = this.crd.spec;
    return conversion?.strategy === 'Webhook' ? conversion.webhook : undefined;
  }

  /** In the order of keys in which committed objects are. */
  private encode({ kind, apiVersion, metadata, ...rest }: KubeObject): Buffer {
    const { resourceVersion, ...others } = metadata ?? {};
    return Buffer.from(JSON.stringify({ kind, apiVersion, metadata: { resourceVersion, ...others }, ...rest }));
  }
}

function finish(object: KubeObject, row: AnyDefinition | undefined): KubeObject {
  row?.normalize?.(object);
  return object;
}
