import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import { extenderName } from '../extenders/extenders';
import type { CycleState } from './cycle-state';
import type { Named, With } from './plugin-points';
import type { Status } from './status';
import type { Profile } from './profile';
import { prepareTrial, type Trial } from './trial';
import {
  maxNodeScore,
  type ClusterChange,
  type Diagnosis,
  type ExtensionPoint,
  type Handle,
  type Plugin,
  type PluginFactory,
  type PostFilterResult,
} from './types';

export interface NodeScore {
  node: NodeInfo;
  score: number;
}

/** Runs the plugins of a profile, extension point by extension point. */
export class Framework {
  private readonly plugins: ReadonlyMap<string, Plugin>;
  private readonly requeue: ReadonlyMap<string, Pick<PluginFactory, 'requeueOn' | 'isHelped'>>;
  private readonly preEnqueuePlugins: readonly With<'preEnqueue'>[];
  private readonly preFilterPlugins: readonly With<'preFilter'>[];
  private readonly filterPlugins: readonly With<'filter'>[];
  private readonly postFilterPlugins: readonly With<'postFilter'>[];
  private readonly preScorePlugins: readonly With<'preScore'>[];
  private readonly scorePlugins: readonly With<'score'>[];
  private readonly reservePlugins: readonly Named[];
  private readonly bindingPlugins: { readonly [K in 'permit' | 'preBind' | 'bind' | 'postBind']: readonly With<K>[] };

  constructor(
    readonly profile: Profile,
    private readonly handle: Handle,
  ) {
    this.plugins = new Map(profile.plugins.map(({ name, build }) => [name, build(handle)]));
    this.requeue = new Map(profile.plugins.map(plugin => [plugin.name, plugin]));
    this.preEnqueuePlugins = this.having('preEnqueue');
    this.preFilterPlugins = this.having('preFilter');
    this.filterPlugins = this.having('filter');
    this.postFilterPlugins = this.having('postFilter');
    this.preScorePlugins = this.having('preScore');
    this.scorePlugins = this.having('score');
    // Those that only give back take part too.
    this.reservePlugins = this.at('reserve').filter(({ plugin }) => plugin.reserve ?? plugin.unreserve);
    this.bindingPlugins = {
      permit: this.having('permit'),
      preBind: this.having('preBind'),
      bind: this.having('bind'),
      postBind: this.having('postBind'),
    };
  }

  /** May the change make a pod schedulable that these plugins refused? */
  isRelevant(change: ClusterChange, pod: PodInfo, refusedBy: ReadonlySet<string>): boolean {
    for (const name of refusedBy) {
      // What an extender looks at, nobody knows.
      if (name === extenderName) return true;
      const plugin = this.requeue.get(name);
      if (plugin?.requeueOn.includes(change.event) && (plugin.isHelped?.(pod, change) ?? true)) return true;
    }
    return false;
  }

  runPreEnqueue(pod: PodInfo): { plugin: string; status: Status } | undefined {
    for (const { name, plugin } of this.preEnqueuePlugins) {
      const status = plugin.preEnqueue(pod);
      if (status) return { plugin: name, status };
    }
    return undefined;
  }

  /** The nodes to look at; undefined when a plugin refuses the pod on all of them, which it notes in the diagnosis. */
  runPreFilter(
    state: CycleState,
    pod: PodInfo,
    nodes: readonly NodeInfo[],
    diagnosis: Diagnosis,
  ): readonly NodeInfo[] | undefined {
    let candidates = nodes;
    for (const { name, plugin } of this.preFilterPlugins) {
      const result = plugin.preFilter(state, pod, nodes);
      if (!result) continue;
      if ('nodeNames' in result) candidates = candidates.filter(node => result.nodeNames.has(node.name));
      else if (result.code === 'Skip') state.skipFilter.add(name);
      else {
        diagnosis.plugins.add(name);
        diagnosis.preFilterMessage = result.reasons.join(', ');
        return undefined;
      }
      if (candidates.length === 0) {
        diagnosis.plugins.add(name);
        diagnosis.preFilterMessage = `node(s) didn't satisfy plugin(s) [${name}]`;
        return undefined;
      }
    }
    return candidates;
  }

  /** The filters that this cycle needs: asked once, used for every node. */
  activeFilters(state: CycleState): readonly With<'filter'>[] {
    return this.filterPlugins.filter(({ name }) => !state.skipFilter.has(name));
  }

  /** Prepares to try the pod on nodes; not to be kept beyond the turn. */
  prepareTrial(pod: PodInfo): Trial {
    const { cache, nominator } = this.handle;
    return prepareTrial({ cache, nominator, preFilters: this.preFilterPlugins, filters: this.filterPlugins }, pod);
  }

  /** Answers a promise only when a plugin has to wait for somebody else. */
  runPostFilter(state: CycleState, pod: PodInfo, diagnosis: Diagnosis): void | Promise<void> {
    const note = ({ message, nominatedNode }: PostFilterResult): void => {
      if (message) diagnosis.postFilterMessage = message;
      if (nominatedNode !== undefined) diagnosis.nominatedNode = nominatedNode;
    };
    let waiting: Promise<void> | undefined;
    for (const { plugin } of this.postFilterPlugins) {
      const run = (): PostFilterResult | Promise<PostFilterResult> => plugin.postFilter(state, pod, diagnosis);
      const result = waiting ? waiting.then(run) : run();
      if (result instanceof Promise) waiting = result.then(note);
      else note(result);
    }
    return waiting;
  }

  runScore(state: CycleState, pod: PodInfo, nodes: readonly NodeInfo[]): NodeScore[] {
    for (const { name, plugin } of this.preScorePlugins)
      if (plugin.preScore(state, pod, nodes)?.code === 'Skip') state.skipScore.add(name);
    const totals = nodes.map(node => ({ node, score: 0 }));
    for (const { name, weight, plugin } of this.scorePlugins) {
      if (state.skipScore.has(name)) continue;
      const scores = nodes.map(node => plugin.score(state, pod, node));
      plugin.normalizeScore?.(state, pod, scores, nodes);
      for (let i = 0; i < totals.length; i++) {
        const total = totals[i] as NodeScore;
        const score = scores[i] ?? 0;
        if (score < 0 || score > maxNodeScore || Number.isNaN(score))
          throw new Error(`plugin ${name} gave the score ${score}, which is not between 0 and ${maxNodeScore}`);
        total.score += weight * score;
      }
    }
    return totals;
  }

  /** Runs all or none: on a refusal what was reserved is given back. */
  runReserve(state: CycleState, pod: PodInfo, nodeName: string): Status | undefined {
    for (const { plugin } of this.reservePlugins) {
      const status = plugin.reserve?.(state, pod, nodeName);
      if (!status) continue;
      this.runUnreserve(state, pod, nodeName);
      return status;
    }
    return undefined;
  }

  runUnreserve(state: CycleState, pod: PodInfo, nodeName: string): void {
    for (const { plugin } of this.reservePlugins.toReversed()) plugin.unreserve?.(state, pod, nodeName);
  }

  /** Permit, PreBind, Bind, PostBind. A refusal is answered, a failure of the api-server thrown. */
  async runBindingCycle(
    state: CycleState,
    pod: PodInfo,
    nodeName: string,
  ): Promise<{ plugin: string; status: Status } | undefined> {
    const { permit, preBind, bind, postBind } = this.bindingPlugins;
    for (const { name, plugin } of permit) {
      const status = await plugin.permit(state, pod, nodeName);
      if (status) return { plugin: name, status };
    }
    for (const { name, plugin } of preBind) {
      const status = await plugin.preBind(state, pod, nodeName);
      if (status) return { plugin: name, status };
    }
    let bound = await this.handle.extenders.bind(pod, nodeName);
    for (const { plugin } of bind) bound ||= await plugin.bind(state, pod, nodeName);
    for (const { plugin } of postBind) plugin.postBind(state, pod, nodeName);
    return undefined;
  }

  /** The plugins of an extension point in the profile's order. */
  private at(point: ExtensionPoint): Named[] {
    return this.profile.points[point].flatMap(({ name, weight }) => {
      const plugin = this.plugins.get(name);
      return plugin ? [{ name, weight, plugin }] : [];
    });
  }

  private having<K extends ExtensionPoint>(point: K): With<K>[] {
    return this.at(point).filter((named): named is With<K> => named.plugin[point] !== undefined);
  }
}
