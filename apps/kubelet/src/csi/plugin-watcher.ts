import { watch } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { credentials } from '@grpc/grpc-js';
import type { Clock, Logger } from '@naru/foundation';
import { registration } from '@naru/proto';
import { unary } from '../cri/unary';
import { Nudge } from '../nudge';

/** Takes plugins of one type. */
export interface PluginHandler {
  register(name: string, endpoint: string, versions: readonly string[]): Promise<void>;
  deregister(name: string): Promise<void>;
}

export interface PluginWatcherDeps {
  directory: string;
  /** By the type that a plugin says it is of. */
  handlers: Readonly<Record<string, PluginHandler>>;
  clock: Clock;
  logger: Logger;
}

interface Known {
  type: string;
  name: string;
  /** Tells a socket from a later one at the same place. */
  stamp: string;
}

const relookMs = 10_000;
const retryMs = 1_000;
const timeoutMs = 10_000;

/**
 * Follows the sockets in the registration folder: each is a plugin that wants to be known. Source: kubelet/pluginmanager
 * and its protocol pluginregistration.v1.
 */
export class PluginWatcher {
  private readonly known = new Map<string, Known>();
  private readonly complaints = new Map<string, string>();

  constructor(private readonly deps: PluginWatcherDeps) {}

  /** Until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { directory, clock, logger } = this.deps;
    const pause = new Nudge();
    await fs.mkdir(directory, { recursive: true, mode: 0o750 });
    const watcher = watch(directory, { signal, persistent: false }, () => pause.nudge());
    watcher.on('error', err => logger.warn({ err }, 'plugin registration folder not watched'));
    while (!signal.aborted) {
      const complete = await this.look().catch((err: unknown) => {
        logger.warn({ err }, 'plugin registration folder not read');
        return false;
      });
      await pause.wait(complete ? relookMs : retryMs, clock, signal);
    }
  }

  /** Registers what is new and drops what is gone; false when something is to be tried again. */
  private async look(): Promise<boolean> {
    const { directory } = this.deps;
    const found = new Map<string, string>();
    for (const name of await fs.readdir(directory)) {
      const socket = path.join(directory, name);
      const stats = await fs.stat(socket).catch(() => undefined);
      if (stats?.isSocket() && !name.startsWith('.')) found.set(socket, `${stats.ino}/${stats.ctimeMs}`);
    }
    for (const [socket, { type, name, stamp }] of this.known) {
      if (found.get(socket) === stamp) continue;
      this.known.delete(socket);
      // One that comes back under its name just replaces what it was.
      if (!found.has(socket)) await this.deps.handlers[type]?.deregister(name);
    }
    const fresh = [...found].filter(([socket]) => !this.known.has(socket));
    const results = await Promise.all(fresh.map(([socket, stamp]) => this.register(socket, stamp)));
    return results.every(Boolean);
  }

  private async register(socket: string, stamp: string): Promise<boolean> {
    const client = new registration.RegistrationClient(`unix://${socket}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    const notify = (pluginRegistered: boolean, error: string): Promise<unknown> =>
      unary(client, client.notifyRegistrationStatus, { pluginRegistered, error }, timeoutMs);
    try {
      const info = await unary<unknown, registration.PluginInfo>(client, client.getInfo, {}, timeoutMs);
      const handler = this.deps.handlers[info.type];
      // What nobody takes is not asked again and again.
      if (!handler) this.known.set(socket, { type: info.type, name: info.name, stamp });
      try {
        if (!handler) throw new Error(`no handler registered for plugin type: ${info.type} at socket ${socket}`);
        await handler.register(info.name, info.endpoint || socket, info.supportedVersions);
      } catch (error) {
        await notify(false, (error as Error).message);
        throw error;
      }
      this.known.set(socket, { type: info.type, name: info.name, stamp });
      this.complaints.delete(socket);
      await notify(true, '');
      return true;
    } catch (err) {
      const { message } = err as Error;
      if (this.complaints.get(socket) !== message) this.deps.logger.warn({ err, socket }, 'plugin not registered');
      this.complaints.set(socket, message);
      return this.known.has(socket);
    } finally {
      client.close();
    }
  }
}
