import type { Container, Pod } from '@naru/api';
import { containerHash } from './container-hash';
import { isSidecar, restartsAfter } from './restart-rule';
import { restartRound } from './restart-round';
import { newestContainer, type ContainerRecord, type PodRuntime, type SandboxRecord } from './runtime-state';

export type ContainerKind = 'init' | 'sidecar' | 'main' | 'ephemeral';

export interface ContainerStart {
  container: Container;
  kind: ContainerKind;
  attempt: number;
  round: number;
  /** The end that this start answers; it counts as a restart. */
  after: ContainerRecord | undefined;
}

export interface ContainerKill {
  record: ContainerRecord;
  container: Container;
  reason: 'LivenessProbe' | 'StartupProbe' | 'Changed' | 'Resize' | 'RestartAll';
  message: string;
}

/** What has to be done to bring a pod from what the runtime holds to what its spec says. */
export interface PodPlan {
  /** Stop everything that runs, and the sandbox: all work is done, or the sandbox is of no use any more. */
  killPod: boolean;
  createSandbox: boolean;
  sandboxAttempt: number;
  /** The sandbox to start containers in, when there is one already. */
  sandbox: SandboxRecord | undefined;
  start: ContainerStart[];
  kill: ContainerKill[];
  /** Containers whose restart has to wait, and how long. */
  waiting: { container: Container; record: ContainerRecord; remainingMs: number }[];
  /** Nothing of this pod will ever run again. */
  finished: boolean;
}

export interface DecisionInput {
  pod: Pod;
  runtime: PodRuntime;
  /** Last result of a running container's probe; undefined as long as there is none. */
  probe: (containerId: string, type: 'liveness' | 'startup') => boolean | undefined;
  /** The container was given other resources, and has to be started anew to get them. */
  mustRestart?: (container: Container, record: ContainerRecord) => boolean;
  /** How long the restart of this container has to wait yet. */
  backOffMs: (container: Container, ended: ContainerRecord) => number;
}

/** The sandbox to keep, or undefined when a new one is needed. */
function usableSandbox(pod: Pod, runtime: PodRuntime): SandboxRecord | undefined {
  const [newest] = runtime.sandboxes;
  const ready = runtime.sandboxes.filter(sandbox => sandbox.ready);
  if (!newest?.ready || ready.length > 1) return undefined;
  const hostNetwork = pod.spec?.hostNetwork ?? false;
  if (newest.hostNetwork !== hostNetwork) return undefined;
  // A sandbox that lost its address cannot be reached: only a new one helps.
  if (!hostNetwork && newest.ips.length === 0) return undefined;
  return newest;
}

class Planner {
  readonly start: ContainerStart[] = [];
  readonly kill: ContainerKill[] = [];
  readonly waiting: PodPlan['waiting'] = [];

  constructor(
    private readonly input: DecisionInput,
    private readonly sandbox: SandboxRecord | undefined,
    private readonly round: number,
  ) {}

  /** The newest container of that name in the current sandbox. */
  current(name: string): ContainerRecord | undefined {
    return this.sandbox && this.ofRound(newestContainer(this.input.runtime, name, this.sandbox.id));
  }

  /** The newest container of that name, in whichever sandbox. */
  newest(name: string): ContainerRecord | undefined {
    return this.ofRound(newestContainer(this.input.runtime, name));
  }

  /** What ran before all containers were restarted has to run again, however it ended. */
  private ofRound(record: ContainerRecord | undefined): ContainerRecord | undefined {
    return record?.round === this.round ? record : undefined;
  }

  startUp(container: Container, kind: ContainerKind): void {
    const last = newestContainer(this.input.runtime, container.name);
    if (last?.phase === 'exited' || last?.phase === 'unknown') {
      const remainingMs = this.input.backOffMs(container, last);
      if (remainingMs > 0) {
        this.waiting.push({ container, record: last, remainingMs });
        return;
      }
    }
    this.start.push({ container, kind, attempt: last ? last.restartCount + 1 : 0, round: this.round, after: last });
  }

  /** Ends a running container that must not stay as it is; true when it goes. */
  endUnfit(container: Container, record: ContainerRecord): boolean {
    const { probe } = this.input;
    if (this.endResized(container, record)) return true;
    const kill = (reason: ContainerKill['reason'], why: string): boolean => {
      const message = `Container ${container.name} ${why}, will be restarted`;
      this.kill.push({ record, container, reason, message });
      return true;
    };
    if (record.hash !== '' && record.hash !== containerHash(container)) return kill('Changed', 'definition changed');
    if (container.startupProbe && probe(record.id, 'startup') === false) {
      return kill('StartupProbe', 'failed startup probe');
    }
    if (container.livenessProbe && probe(record.id, 'liveness') === false) {
      return kill('LivenessProbe', 'failed liveness probe');
    }
    return false;
  }

  endResized(container: Container, record: ContainerRecord): boolean {
    if (!this.input.mustRestart?.(container, record)) return false;
    const message = `Container ${container.name} resize requires restart`;
    this.kill.push({ record, container, reason: 'Resize', message });
    return true;
  }

  hasStarted(container: Container, record: ContainerRecord): boolean {
    return !container.startupProbe || this.input.probe(record.id, 'startup') === true;
  }
}

type InitOutcome = 'done' | 'busy' | 'failed';

/** Init containers and sidecars in their order; each waits for the one before it. */
function planInit(planner: Planner, pod: Pod, initialized: boolean): InitOutcome {
  const containers = pod.spec?.initContainers ?? [];
  // What ran and was tidied away has left a later container behind it.
  const lastSeen = containers.findLastIndex(container => planner.current(container.name));
  for (const [index, container] of containers.entries()) {
    const record = planner.current(container.name);
    if (isSidecar(container)) {
      if (record?.phase === 'running') {
        if (planner.endUnfit(container, record)) continue;
        if (!initialized && !planner.hasStarted(container, record)) return 'busy';
        continue;
      }
      planner.startUp(container, 'sidecar');
      if (!initialized) return 'busy';
      continue;
    }
    if (initialized) continue;
    if (record?.phase === 'running') {
      planner.endResized(container, record);
      return 'busy';
    }
    if (record?.phase === 'exited') {
      if (record.exitCode === 0) continue;
      if (!restartsAfter(pod, container, record.exitCode, true)) return 'failed';
    }
    if (!record && index < lastSeen) continue;
    planner.startUp(container, 'init');
    return 'busy';
  }
  return 'done';
}

/** Main containers; returns how many run or will run. */
function planMain(planner: Planner, pod: Pod): number {
  let alive = 0;
  for (const container of pod.spec?.containers ?? []) {
    const record = planner.current(container.name);
    if (record?.phase === 'running') {
      alive++;
      planner.endUnfit(container, record);
      continue;
    }
    const last = planner.newest(container.name);
    if (last?.phase === 'exited' && !restartsAfter(pod, container, last.exitCode, false)) continue;
    alive++;
    planner.startUp(container, 'main');
  }
  return alive;
}

/**
 * The kubelet's decision about one pod that should run: a pure function of the spec, what the runtime holds, probe
 * results and back-off. Source: kuberuntime computePodActions, with the containers of an older sandbox told apart.
 */
export function decide(input: DecisionInput): PodPlan {
  const { pod, runtime } = input;
  const sandbox = usableSandbox(pod, runtime);
  const round = restartRound(pod, runtime);
  const planner = new Planner(input, sandbox, round.number);
  const sandboxAttempt = Math.max(-1, ...runtime.sandboxes.map(({ attempt }) => attempt)) + 1;
  const plan = (more: Partial<PodPlan>): PodPlan => ({
    killPod: false,
    createSandbox: sandbox === undefined,
    sandboxAttempt,
    sandbox,
    start: planner.start,
    kill: planner.kill,
    waiting: planner.waiting,
    finished: false,
    ...more,
  });
  const over: Partial<PodPlan> = {
    killPod: true,
    createSandbox: false,
    finished: true,
    start: [],
    kill: [],
    waiting: [],
  };

  const hasRun = runtime.containers.length > 0;
  if (!sandbox && hasRun && pod.spec?.restartPolicy === 'Never') return plan(over);

  if (sandbox && round.ending.length > 0) {
    const message = (name: string): string => `Container ${name} is ended, for all containers are to be restarted`;
    const kill = round.ending.map(each => ({
      ...each,
      reason: 'RestartAll' as const,
      message: message(each.container.name),
    }));
    return plan({ kill });
  }

  const mains = pod.spec?.containers ?? [];
  const initialized = mains.some(container => planner.current(container.name));
  const init = planInit(planner, pod, initialized);
  if (init === 'failed') return plan(over);
  if (init === 'done') {
    const alive = planMain(planner, pod);
    if (alive === 0) return plan(over);
  }
  if (!sandbox && init === 'busy' && mains.every(({ name }) => planner.newest(name)?.phase === 'exited')) {
    // The work may have been done in a sandbox that is gone: then it is not set up again.
    const wanted = mains.filter(container => {
      const last = planner.newest(container.name);
      return !last || restartsAfter(pod, container, last.exitCode, false);
    });
    if (mains.length > 0 && wanted.length === 0) return plan(over);
  }
  if (sandbox) {
    for (const ephemeral of pod.spec?.ephemeralContainers ?? []) {
      const container = ephemeral as Container;
      if (!newestContainer(runtime, container.name)) planner.startUp(container, 'ephemeral');
    }
  }
  // With back-off pending for everything there is, a new sandbox would only sit idle.
  const idle = !sandbox && planner.start.length === 0 && planner.waiting.length > 0;
  return plan({
    killPod:
      !sandbox &&
      (runtime.sandboxes.some(({ ready }) => ready) || runtime.containers.some(({ phase }) => phase === 'running')),
    createSandbox: !sandbox && !idle,
  });
}
