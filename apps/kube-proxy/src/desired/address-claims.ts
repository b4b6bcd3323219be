/**
 * Which port owns an address. Two Services may name the same external address and port, and a cluster IP or node port
 * that was freed may be given out again before the deletion of its former owner is heard of. The first one keeps the
 * address; the next in line is told when it is free.
 */
export class AddressClaims {
  private readonly owners = new Map<string, string>();
  private readonly waiting = new Map<string, Set<string>>();
  private readonly wanted = new Map<string, readonly string[]>();

  constructor(private readonly onFree: (claimant: string) => void) {}

  /** Replaces what `claimant` wants by `addresses` and answers what it gets of them. */
  claim(claimant: string, addresses: readonly string[]): Set<string> {
    for (const address of this.wanted.get(claimant) ?? []) {
      if (!addresses.includes(address)) this.giveUp(claimant, address);
    }
    this.wanted.set(claimant, addresses);
    const granted = new Set<string>();
    for (const address of addresses) {
      const owner = this.owners.get(address);
      if (owner === undefined) this.owners.set(address, claimant);
      if (owner === undefined || owner === claimant) {
        granted.add(address);
        this.leaveLine(claimant, address);
      } else this.waiting.set(address, (this.waiting.get(address) ?? new Set()).add(claimant));
    }
    return granted;
  }

  release(claimant: string): void {
    for (const address of this.wanted.get(claimant) ?? []) this.giveUp(claimant, address);
    this.wanted.delete(claimant);
  }

  private giveUp(claimant: string, address: string): void {
    this.leaveLine(claimant, address);
    if (this.owners.get(address) !== claimant) return;
    this.owners.delete(address);
    const [next] = this.waiting.get(address) ?? [];
    if (next !== undefined) this.onFree(next);
  }

  private leaveLine(claimant: string, address: string): void {
    const line = this.waiting.get(address);
    if (line?.delete(claimant) && line.size === 0) this.waiting.delete(address);
  }
}
