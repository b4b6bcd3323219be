import { addressPrefix } from './node-template';

/** The pods' addresses of one hollow node: x.x.x.1 to x.x.x.254. */
export class PodAddresses {
  private readonly used = new Map<number, string>();
  private readonly prefix: string;
  private next = 1;

  constructor(index: number) {
    this.prefix = addressPrefix(index);
  }

  /** The address of a pod, taken on the first call; "" when the node has none left. */
  take(uid: string): string {
    for (const [offset, owner] of this.used) if (owner === uid) return `${this.prefix}.${offset}`;
    for (let tries = 0; tries < 254; tries++) {
      const offset = this.next;
      this.next = (this.next % 254) + 1;
      if (this.used.has(offset)) continue;
      this.used.set(offset, uid);
      return `${this.prefix}.${offset}`;
    }
    return '';
  }

  /** A pod has it already: this process has been started anew. */
  keep(uid: string, ip: string): void {
    if (ip.startsWith(`${this.prefix}.`)) this.used.set(Number(ip.slice(this.prefix.length + 1)), uid);
  }

  release(uid: string): void {
    for (const [offset, owner] of this.used) if (owner === uid) this.used.delete(offset);
  }
}
