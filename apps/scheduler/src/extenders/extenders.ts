import type { Logger } from '@naru/foundation';
import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import { unresolvable, unschedulable } from '../framework/status';
import type { Diagnosis } from '../framework/types';
import type { Candidate } from '../preemption/candidates';
import { extenderScoreFactor, type HttpExtender } from './http-extender';

/** By this name a pod's refusal by an extender is remembered: any event may make it change its mind. */
export const extenderName = 'Extender';

/** All extenders of a scheduler. What one says goes to the next; one that is ignorable may fail. */
export class Extenders {
  readonly ignoredResources: ReadonlySet<string>;

  constructor(
    private readonly list: readonly HttpExtender[],
    private readonly logger: Logger,
  ) {
    this.ignoredResources = new Set(list.flatMap(({ configuration }) => [...configuration.ignoredByScheduler]));
  }

  /** Whether any has a say in where the pod goes. */
  decideAbout({ pod }: PodInfo): boolean {
    return this.list.some(
      extender =>
        (extender.configuration.filterVerb !== '' || extender.configuration.prioritizeVerb !== '') &&
        extender.isInterested(pod),
    );
  }

  decideVictimsFor({ pod }: PodInfo): boolean {
    return this.list.some(extender => extender.configuration.preemptVerb !== '' && extender.isInterested(pod));
  }

  /** Those of the nodes that all extenders accept; why not the others is noted. Throws when one fails that must not. */
  async filter(pod: PodInfo, nodes: readonly NodeInfo[], diagnosis: Diagnosis): Promise<NodeInfo[]> {
    let left = [...nodes];
    for (const extender of this.having('filterVerb', pod)) {
      if (left.length === 0) break;
      const given = left.flatMap(({ node }) => (node ? [node] : []));
      const result = await this.unlessIgnorable(extender, () => extender.filter(pod.pod, given));
      if (!result) continue;
      for (const { name } of left) {
        const final = result.failedAndUnresolvable[name];
        const reason = final ?? result.failed[name];
        if (reason === undefined) continue;
        diagnosis.nodeStatuses.set(name, final === undefined ? unschedulable(reason) : unresolvable(reason));
      }
      if (result.names.size < left.length) diagnosis.plugins.add(extenderName);
      left = left.filter(({ name }) => result.names.has(name));
    }
    return left;
  }

  /** Weighted scores by node, on the scale of the plugins'. One that fails has no say. */
  async score(pod: PodInfo, nodes: readonly NodeInfo[]): Promise<Map<string, number>> {
    const totals = new Map<string, number>();
    const given = nodes.flatMap(({ node }) => (node ? [node] : []));
    const answers = this.having('prioritizeVerb', pod).map(async extender => {
      try {
        for (const [name, score] of await extender.prioritize(pod.pod, given)) {
          const weighted = score * extender.configuration.weight * extenderScoreFactor;
          totals.set(name, (totals.get(name) ?? 0) + weighted);
        }
      } catch (err) {
        this.logger.warn({ err, extender: extender.name }, 'an extender gave no scores');
      }
    });
    await Promise.all(answers);
    return totals;
  }

  /** Which of the candidates for preemption all extenders agree to, with the victims as they want them. */
  async agree(pod: PodInfo, candidates: readonly Candidate[]): Promise<Candidate[]> {
    let left = [...candidates];
    for (const extender of this.having('preemptVerb', pod)) {
      if (left.length === 0) break;
      const victims = new Map(
        left.map(candidate => {
          const pods = candidate.victims.map(victim => victim.pod);
          return [candidate.nodeName, { pods, violations: candidate.violations }] as const;
        }),
      );
      const agreed = await this.unlessIgnorable(extender, () => extender.preempt(pod.pod, victims));
      if (!agreed) continue;
      left = left.flatMap(candidate => {
        const wanted = agreed.get(candidate.nodeName);
        if (!wanted) return [];
        const uids = new Set(wanted.uids);
        const kept = candidate.victims.filter(({ uid }) => uids.has(uid));
        return [{ ...candidate, victims: kept, violations: wanted.violations }];
      });
    }
    return left;
  }

  /** True when an extender has bound the pod. */
  async bind({ pod }: PodInfo, nodeName: string): Promise<boolean> {
    for (const extender of this.list) {
      if (extender.configuration.bindVerb === '' || !extender.isInterested(pod)) continue;
      const bound = await this.unlessIgnorable(extender, () => extender.bind(pod, nodeName).then(() => true));
      if (bound) return true;
    }
    return false;
  }

  close(): void {
    for (const extender of this.list) extender.close();
  }

  private having(verb: 'filterVerb' | 'prioritizeVerb' | 'preemptVerb', { pod }: PodInfo): HttpExtender[] {
    return this.list.filter(extender => extender.configuration[verb] !== '' && extender.isInterested(pod));
  }

  private async unlessIgnorable<T>(extender: HttpExtender, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (err) {
      if (!extender.configuration.ignorable) throw err;
      this.logger.warn({ err, extender: extender.name }, 'an ignorable extender failed');
      return undefined;
    }
  }
}
