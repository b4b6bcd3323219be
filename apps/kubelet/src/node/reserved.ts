import { quantityMilliValue, quantityValue } from '@naru/api';

/** What is kept from pods, for the system and for the cluster's own processes. */
export interface Reserved {
  /** Millicores. */
  cpu: number;
  /** Bytes. */
  memory: number;
  /** Bytes of the node's disk. */
  storage: number;
  /** Processes. */
  pids: number;
}

/** Adds up systemReserved and kubeReserved: cpu, memory, ephemeral-storage and pid. Throws for quantities that are none. */
export function parseReserved(...lists: Readonly<Record<string, string>>[]): Reserved {
  const sum = (name: string, parse: (text: string) => number): number =>
    lists.reduce((total, list) => total + (list[name] === undefined ? 0 : parse(list[name])), 0);
  return {
    cpu: sum('cpu', quantityMilliValue),
    memory: sum('memory', quantityValue),
    storage: sum('ephemeral-storage', quantityValue),
    pids: sum('pid', quantityValue),
  };
}
