import fs from 'node:fs/promises';
import { pods as podType, type Pod, type Stored } from '@naru/api';
import { isReason } from '@naru/foundation';
import type { PodFailure } from '../status/pod-status';
import { equalJson } from '../status/equal-json';
import { isTerminal, type Rejection } from './admission';
import { restartKey } from './crash-loop';
import { decide, type ContainerStart, type PodPlan } from './decide';
import { pruneContainers } from './dead-containers';
import { PodEnding } from './pod-ending';
import { podGraceSeconds } from './pod-killer';
import { PodReport } from './pod-report';
import type { StartReport } from './pod-starter';
import type { PodWorkerDeps } from './pod-worker-deps';
import { emptyRuntime, reflects, type RuntimeEvent, type PodRuntime } from './runtime-state';
import { StartHolds } from './start-holds';
import { StepLoop, type StepResult } from './step-loop';
import { VolumeRefresh } from './volume-refresh';

const maxEvents = 64;
/** How soon it is tried again to resize a pod for which there was no room. */
const resizeRetryMs = 1_000;

/** The life of one pod on this node: one step at a time, each from what is to what should be. */
export class PodWorker {
  readonly uid: string;
  private runtime: PodRuntime;
  /** The runtime may hold something else by now: it tells of every change, so that what happens to the object alone is no reason to ask. */
  private stale = true;
  /** The runtime has never been asked to do anything for this pod, so there is nothing to read. */
  private fresh: boolean;
  private removed = false;
  private admitted: boolean;
  private failure: PodFailure | undefined;
  /** Set when the pod is evicted: what its containers get instead of their own grace period. */
  private evictionGraceSeconds: number | undefined;
  private readonly whenEnded: (() => void)[] = [];
  private finished = false;
  /** Told while a step was running. */
  private readonly events: RuntimeEvent[] = [];
  private starting = new AbortController();
  /** When to look at the pod again although nothing has happened: milliseconds since the epoch. */
  private lookAt = Infinity;
  private readonly holds: StartHolds;
  private readonly loop: StepLoop;
  private readonly report: PodReport;
  private readonly refresh: VolumeRefresh;
  private readonly ending: PodEnding;

  /** `known`: the runtime may already hold something of this pod. */
  constructor(
    private pod: Stored<Pod>,
    known: boolean,
    private readonly deps: PodWorkerDeps,
  ) {
    this.uid = pod.metadata.uid;
    const { namespace = '', name } = pod.metadata;
    this.runtime = emptyRuntime(this.uid, namespace, name);
    this.holds = new StartHolds(deps.clock);
    this.fresh = !known;
    this.admitted = known;
    this.report = new PodReport(this.uid, known, deps);
    this.refresh = new VolumeRefresh(deps);
    this.ending = new PodEnding(deps);
    this.loop = new StepLoop({
      clock: deps.clock,
      step: news => this.step(news),
      onStepped: () => this.settleEvents(),
      onFailure: (err, wakeAfterMs) => {
        this.stale = true;
        deps.logger.warn({ err, namespace, name, uid: this.uid, wakeAfterMs }, 'pod sync failed');
      },
    });
  }

  get current(): Stored<Pod> {
    return this.pod;
  }

  /** The pod with what this node has given to it. */
  get allocated(): Stored<Pod> {
    return this.deps.allocations.allocated(this.pod);
  }

  get lastRuntime(): PodRuntime {
    return this.runtime;
  }

  /** Takes part in what this node has given away. Not without its object, as upstream: others were told that it is gone. */
  get usesResources(): boolean {
    return this.admitted && !this.finished && !this.removed && !isTerminal(this.pod);
  }

  get isTerminating(): boolean {
    return this.removed || this.pod.metadata.deletionTimestamp !== undefined;
  }

  /** Nothing of it runs or will run; its containers are kept for their logs only. */
  get isOver(): boolean {
    return this.finished || isTerminal(this.pod);
  }

  /** The container of that name is not running because its start, or restart, has to wait. */
  isWaiting(container: string): boolean {
    return this.report.waiting.has(container);
  }

  update(pod: Stored<Pod>): void {
    this.refresh.noteChange(pod, this.pod);
    if (!equalJson(pod.spec, this.pod.spec)) {
      this.stale = true;
      this.holds.clear();
    }
    this.pod = pod;
    this.hurry();
    this.loop.notify();
  }

  /** The pod's object is gone: end what runs. */
  remove(pod: Stored<Pod>): void {
    this.pod = pod;
    this.removed = true;
    this.hurry();
    this.notify();
  }

  /** Ends the pod as Failed, with the given grace period; resolves when its containers have ended. */
  evict(verdict: PodFailure, graceSeconds: number): Promise<void> {
    this.failure = verdict;
    this.evictionGraceSeconds = graceSeconds;
    this.starting.abort(new Error('the pod is evicted'));
    const ended = new Promise<void>(resolve => this.whenEnded.push(resolve));
    this.notify();
    return ended;
  }

  private hurry(): void {
    if (!this.isTerminating) return;
    this.starting.abort(new Error('the pod is terminating'));
    this.ending.hurry(this.pod);
  }

  /** The runtime tells of a change; what is known already needs no look. */
  noteEvent(event: RuntimeEvent): void {
    if (this.loop.isRunning) this.events.push(event);
    else if (!reflects(this.runtime, event)) this.notify();
    if (this.events.length > maxEvents) this.settleEvents();
  }

  private settleEvents(): void {
    if (this.events.some(event => !reflects(this.runtime, event))) this.notify();
    this.events.length = 0;
  }

  /** Something may have changed. */
  notify(): void {
    this.stale = true;
    this.loop.notify();
  }

  /** Stops working on the pod and leaves everything as it is. */
  async close(): Promise<void> {
    this.loop.close();
    this.ending.abandon();
    await this.report.flush(this.pod);
  }

  private async step(news: boolean): Promise<StepResult> {
    if (!news && this.deps.clock.now() < this.lookAt) return this.rest();
    this.lookAt = 0;
    if (!news || this.stale || this.isTerminating) await this.readRuntime();
    // What we wrote ourselves a moment ago may not have come back yet.
    if (!this.removed) this.pod = this.deps.status.newest(this.pod);
    if (this.isTerminating) return this.terminate();
    if (isTerminal(this.pod) || this.failure) return this.end();
    if (!this.admitted) {
      const rejected = await this.deps.admission.admit(this.pod, () => {
        this.admitted = true;
        this.deps.allocations.give(this.pod);
      });
      if (this.isTerminating || this.failure) return { again: true };
      if (rejected) return this.reject(rejected);
    }
    const deadline = this.deadlineMs();
    if (deadline !== undefined && deadline <= this.deps.clock.now()) {
      const message = 'Pod was active on the node longer than the specified deadline';
      this.failure = { reason: 'DeadlineExceeded', message };
      this.deps.events.pod(this.pod, 'Normal', 'DeadlineExceeded', message);
      return this.end();
    }
    return this.sync(deadline);
  }

  private async readRuntime(): Promise<void> {
    const { reader } = this.deps;
    this.stale = false;
    if (this.fresh) return;
    this.runtime = await reader.read(this.uid, this.runtime.namespace, this.runtime.name);
    this.report.noteRuntime(this.runtime);
  }

  private async sync(deadline: number | undefined): Promise<StepResult> {
    const { clock, probes, starter, killer, resizer } = this.deps;
    const pod = resizer.settle(this.pod);
    const wanted = this.plan();
    this.report.noteWaiting(this.pod, wanted);
    const holdMs = wanted.start.map(({ container }) => this.holds.remainingMs(container.name));
    const plan = { ...wanted, start: wanted.start.filter((_, index) => holdMs[index] === 0) };
    if (plan.finished) return this.end();
    const endsAll = plan.kill.some(({ reason }) => reason === 'RestartAll');
    if (plan.start.length > 0 || plan.createSandbox || endsAll) this.writeStatus();
    if (plan.killPod) await killer.killPod(this.pod, this.runtime, podGraceSeconds(this.pod));
    const podIp = this.runtime.sandboxes[0]?.ips[0] ?? this.deps.hostIps[0] ?? '';
    await killer.carryOut(this.pod, plan.kill, podIp);
    const { holds } = this;
    const outcome: StartReport = { waiting: this.report.waiting, holds, retryAfterMs: undefined, started: 0 };
    if (plan.createSandbox || plan.start.length > 0) {
      this.fresh = false;
      this.starting = new AbortController();
      if (this.isTerminating) return { again: true };
      for (const start of plan.start) this.noteRestart(start);
      try {
        await starter.start(pod, this.runtime, plan, outcome, this.starting.signal);
      } catch (error) {
        if (this.starting.signal.aborted) return { again: true };
        await this.readRuntime();
        this.writeStatus();
        this.report.noteFailure(this.pod, error);
        throw error;
      }
      await this.readRuntime();
    } else if (plan.kill.length > 0 || plan.killPod) await this.readRuntime();
    if (outcome.started > 0) this.report.noteStarted();
    if (await resizer.actuate(pod, this.runtime)) await this.readRuntime();
    probes.sync(this.pod, this.runtime);
    this.writeStatus();
    await pruneContainers(this.runtime, this.deps);
    const changed = plan.kill.length > 0 || plan.killPod || outcome.started > 0;
    const { pending, inProgress } = resizer.state(this.uid);
    const waits = [
      outcome.retryAfterMs,
      (pending ?? inProgress) ? resizeRetryMs : undefined,
      ...plan.waiting.map(({ remainingMs }) => remainingMs),
      ...holdMs.filter(ms => ms > 0),
      deadline === undefined ? undefined : deadline - clock.now(),
    ].filter(ms => ms !== undefined);
    this.lookAt = clock.now() + Math.min(...waits);
    // A sidecar that has just started, or a kill, opens the way for what comes next.
    return { ...(await this.rest()), again: changed && this.hasMoreToDo() };
  }

  /** The pod is as it should be for now: nothing but its volumes may have to follow other objects. */
  private async rest(): Promise<StepResult> {
    const refreshMs = await this.refresh.run(this.pod, this.runtime.sandboxes[0]?.ips ?? []);
    const wakeAfterMs = Math.min(this.lookAt - this.deps.clock.now(), refreshMs ?? Infinity);
    return Number.isFinite(wakeAfterMs) ? { wakeAfterMs } : {};
  }

  private plan(): PodPlan {
    const { probes, backOff, resizer } = this.deps;
    const pod = this.allocated;
    return decide({
      pod,
      mustRestart: (container, record) => resizer.mustRestart(pod, container, record),
      runtime: this.runtime,
      probe: (containerId, type) => probes.result(this.uid, containerId, type),
      backOffMs: (container, ended) =>
        backOff.remainingMs(restartKey(this.uid, container.name, ended.hash), ended.finishedAt),
    });
  }

  private hasMoreToDo(): boolean {
    const plan = this.plan();
    return plan.finished || plan.createSandbox || plan.kill.length > 0 || plan.start.length > 0;
  }

  private noteRestart(start: ContainerStart): void {
    const { after, container } = start;
    this.report.waiting.delete(container.name);
    if (after?.phase !== 'exited') return;
    this.deps.backOff.next(restartKey(this.uid, container.name, after.hash), after.finishedAt);
  }

  private deadlineMs(): number | undefined {
    const seconds = this.pod.spec?.activeDeadlineSeconds;
    const started = this.pod.status?.startTime;
    if (seconds === undefined || started === undefined) return undefined;
    return Date.parse(started) + seconds * 1000;
  }

  private writeStatus(): void {
    const { runtime, finished, failure, isTerminating: terminating } = this;
    this.report.writeStatus(this.pod, { runtime, finished, failure, terminating });
  }

  private async reject(rejection: Rejection): Promise<StepResult> {
    this.failure = rejection;
    this.finished = true;
    this.deps.events.pod(this.pod, 'Warning', rejection.reason, rejection.message);
    this.writeStatus();
    await this.report.flush(this.pod);
    return {};
  }

  /** All work is done, or over: stop what runs, say so, and keep the containers for their logs. */
  private async end(): Promise<StepResult> {
    const { killer, probes, volumes, cgroups } = this.deps;
    const live =
      this.runtime.sandboxes.some(({ ready }) => ready) ||
      this.runtime.containers.some(({ phase }) => phase === 'running' || phase === 'created');
    this.finished = true;
    this.report.waiting.clear();
    if (live) {
      await killer.killPod(this.pod, this.runtime, this.evictionGraceSeconds ?? podGraceSeconds(this.pod));
      await this.readRuntime();
    }
    if (!isTerminal(this.pod) || live) {
      this.writeStatus();
      await this.report.flush(this.pod);
    }
    probes.forget(this.uid);
    await volumes.tearDown(this.uid);
    await cgroups.remove(this.uid);
    this.deps.released(this.uid);
    for (const ended of this.whenEnded.splice(0)) ended();
    return {};
  }

  /** The pod is to go: end it, say how it ended, clean up, and let its object go. */
  private async terminate(): Promise<StepResult> {
    const { client, probes, status } = this.deps;
    this.report.waiting.clear();
    probes.sync(this.pod, this.runtime, true);
    if (!(await this.ending.run(this.pod, this.runtime))) return { again: true };
    await this.readRuntime();
    if (this.runtime.containers.some(({ phase }) => phase === 'running')) return { wakeAfterMs: 1_000 };
    probes.forget(this.uid);
    this.finished = true;
    if (!this.removed) this.writeStatus();
    await Promise.all([this.removed ? undefined : this.report.flush(this.pod), this.cleanUp()]);
    if (!this.removed) {
      const { namespace, name, uid } = this.pod.metadata;
      try {
        await client.delete(podType, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
      } catch (error) {
        // Gone, or another pod under the same name: either way this one is not there any more.
        if (!isReason(error, 'NotFound', 'Conflict')) throw error;
      }
    }
    this.close().catch(() => undefined);
    status.forget(this.uid);
    this.deps.released(this.uid);
    this.deps.forget(this.uid);
    this.deps.resizer.forget(this.uid);
    this.deps.onDone(this);
    return {};
  }

  private async cleanUp(): Promise<void> {
    const { killer, volumes, cgroups, paths } = this.deps;
    await killer.remove(this.runtime);
    await volumes.tearDown(this.uid);
    const { namespace, name } = this.runtime;
    await fs.rm(paths.logsOf(this.uid, namespace, name), { recursive: true, force: true });
    await cgroups.remove(this.uid);
  }
}
