import fs from 'node:fs/promises';
import type { PodRuntime } from './runtime-state';

interface Remover {
  removeContainer: (id: string) => Promise<void>;
  removeSandbox: (id: string) => Promise<void>;
}

/**
 * Removes ended containers of a pod but the last one of each name, which `kubectl logs --previous` and lastState need,
 * and sandboxes without containers that a newer one has replaced. Upstream: MaxPerPodContainer=1.
 */
export async function pruneContainers(runtime: PodRuntime, remover: Remover): Promise<void> {
  const kept = new Map<string, number>();
  const removed = new Set<string>();
  for (const { id, name, phase, logPath } of runtime.containers) {
    if (phase === 'running') continue;
    const ended = kept.get(name) ?? 0;
    kept.set(name, ended + 1);
    if (ended < 1) continue;
    await remover.removeContainer(id);
    removed.add(id);
    if (logPath) await fs.rm(logPath, { force: true });
  }
  const [newest] = runtime.sandboxes;
  for (const { id, ready } of runtime.sandboxes) {
    if (ready || id === newest?.id) continue;
    if (runtime.containers.some(container => container.sandboxId === id && !removed.has(container.id))) continue;
    await remover.removeSandbox(id);
  }
}

/** Removes everything that has ended of pods that are over, for a node whose disk is full. Their logs go with it. */
export async function removeDead(
  pods: readonly { isOver: boolean; lastRuntime: PodRuntime }[],
  remover: Remover,
): Promise<void> {
  for (const { isOver, lastRuntime } of pods) {
    if (!isOver) continue;
    for (const { id, phase, logPath } of lastRuntime.containers) {
      if (phase === 'running') continue;
      await remover.removeContainer(id);
      if (logPath) await fs.rm(logPath, { force: true });
    }
    for (const { id, ready } of lastRuntime.sandboxes) if (!ready) await remover.removeSandbox(id);
  }
}
