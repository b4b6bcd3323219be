import { Quantity } from '../canonical-quantity';
import { sumOfContainers, sumOfPod } from '../pod-resources';
import type { Pod } from '../types';

/** A ResourceList with exact amounts. */
export type Quantities = Map<string, Quantity>;

export const one = Quantity.parse('1');
export const zero = Quantity.parse('0');

export function count(items: number): Quantity {
  return Quantity.parse(items);
}

export function parseQuantities(list: Readonly<Record<string, string | undefined>> | null | undefined): Quantities {
  const amounts: Quantities = new Map();
  for (const [name, text] of Object.entries(list ?? {}))
    if (text !== undefined) amounts.set(name, Quantity.parse(text));
  return amounts;
}

export function formatQuantities(amounts: Quantities): Record<string, string> {
  return Object.fromEntries([...amounts].map(([name, amount]) => [name, amount.toString()]));
}

/** What is in either, added. */
export function addQuantities(a: Quantities, b: Quantities): Quantities {
  const sum = new Map(a);
  for (const [name, amount] of b) sum.set(name, sum.get(name)?.add(amount) ?? amount);
  return sum;
}

const exact = {
  add: (a: Quantity, b: Quantity) => a.add(b),
  max: (a: Quantity, b: Quantity) => (a.compare(b) < 0 ? b : a),
};

/** Requests or limits of all containers together, whatever the pod asks for as a whole. */
export function containerQuantities(pod: Pod, which: 'requests' | 'limits'): Quantities {
  return sumOfContainers(pod, resources => parseQuantities(resources?.[which]), exact);
}

/** Requests or limits of a whole pod, overhead included. */
export function podQuantities(pod: Pod, which: 'requests' | 'limits'): Quantities {
  const total = sumOfPod(pod, resources => parseQuantities(resources?.[which]), exact);
  const overhead = parseQuantities(pod.spec?.overhead);
  // Without a limit of the containers there is none of the pod.
  for (const [name, amount] of overhead)
    if (which === 'requests' || total.has(name)) total.set(name, total.get(name)?.add(amount) ?? amount);
  return total;
}
