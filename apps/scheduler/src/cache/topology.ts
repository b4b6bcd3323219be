import type { NodeInfo } from './node-info';

/** The domains of one topology key. */
export interface Domains {
  readonly names: ReadonlySet<string>;
  /** Every node has the label. */
  readonly complete: boolean;
}

/** Which domains there are, looked up once for each key until a node comes, goes or gets other labels. */
export class Topology {
  private readonly known = new Map<string, Domains>();

  constructor(private readonly nodes: () => readonly NodeInfo[]) {}

  domains(topologyKey: string): Domains {
    const known = this.known.get(topologyKey);
    if (known) return known;
    const names = new Set<string>();
    let complete = true;
    for (const { labels } of this.nodes()) {
      const domain = labels[topologyKey];
      if (domain === undefined) complete = false;
      else names.add(domain);
    }
    const domains = { names, complete };
    this.known.set(topologyKey, domains);
    return domains;
  }

  forget(): void {
    this.known.clear();
  }
}
