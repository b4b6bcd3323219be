import { formatTime, type Clock, type Logger } from '@naru/foundation';
import { type AnyDefinition, type APIService } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { CommittedEvent, Storage } from '../storage/storage';
import type { WatchCache } from '../storage/watch-cache';
import type { ResolveService } from '../webhooks/webhook-client';
import { available, obstacle, unavailable, type Condition } from './availability';
import { fetchDocument, type ExtensionTarget } from './extension-client';
import type { FrontProxy } from './front-proxy';
import { toDiscoveredResources } from './remote-discovery';

export interface AggregatorDeps {
  storage: Storage;
  definition: AnyDefinition;
  caches: { services: WatchCache; endpointSlices: WatchCache };
  resolve: ResolveService;
  frontProxy: FrontProxy;
  clock: Clock;
  logger: Logger;
}

/** A group and version that another server answers. */
export interface RemoteVersion {
  name: string;
  group: string;
  version: string;
  priority: { group: number; version: number };
  spec: NonNullable<APIService['spec']>;
  isAvailable: boolean;
  /** As it was last told; empty before. */
  resources: unknown[];
  /** The server's own address of its schema, with its hash; undefined: it has none. */
  openApi: string | undefined;
}

/** How soon a server that answers is asked again, and one that does not. Source: the resync of upstream's controller. */
const recheckMs = 30_000;
const retryMs = 2_000;
const maxConflicts = 10;

/**
 * Follows the APIServices that name a Service: finds out whether their servers answer, says so in their status, and knows
 * what they serve.
 */
export class Aggregator {
  private readonly remotes = new Map<string, RemoteVersion>();
  private readonly checks = new Map<string, { running: boolean; again: boolean; cancel: () => void }>();
  private stopListening: () => void = () => undefined;
  private closed = false;
  /** Grows with every change of what is served elsewhere. */
  generation = 0;

  constructor(private readonly deps: AggregatorDeps) {}

  start(): void {
    this.stopListening = this.deps.storage.onCommit(events => this.onCommit(events));
    for (const { name } of this.cache.select({ namespace: '' })) this.follow(name);
  }

  close(): void {
    this.closed = true;
    this.stopListening();
    for (const { cancel } of this.checks.values()) cancel();
  }

  find(group: string, version: string): RemoteVersion | undefined {
    return this.remotes.get(`${version}.${group}`);
  }

  /** The most important first, as clients are to prefer them. */
  list(): RemoteVersion[] {
    return [...this.remotes.values()].sort(
      (a, b) => b.priority.group - a.priority.group || b.priority.version - a.priority.version,
    );
  }

  /** Where a version's server is now; undefined: nowhere. */
  target({ spec }: RemoteVersion): ExtensionTarget | undefined {
    const { namespace = '', name = '', port = 443 } = spec.service ?? {};
    const place = this.deps.resolve(namespace, name, port);
    const { certificate, key } = this.deps.frontProxy;
    return (
      place && {
        ...place,
        tls: {
          cert: certificate,
          key,
          servername: `${name}.${namespace}.svc`,
          ...(spec.caBundle ? { ca: Buffer.from(spec.caBundle, 'base64') } : {}),
          rejectUnauthorized: spec.insecureSkipTLSVerify !== true,
        },
      }
    );
  }

  private get cache(): WatchCache {
    return this.deps.storage.cache(this.deps.definition);
  }

  private onCommit(events: readonly CommittedEvent[]): void {
    for (const { definition, event } of events) {
      if (definition === this.deps.definition) this.follow(event.entry.name);
      else if (definition === this.deps.caches.services.definition) this.recheckService(event.entry);
      else if (definition === this.deps.caches.endpointSlices.definition)
        this.recheckService({
          namespace: event.entry.namespace,
          name: event.entry.labels?.['kubernetes.io/service-name'] ?? '',
        });
    }
  }

  private recheckService(changed: { namespace: string; name: string }): void {
    for (const { name, spec } of this.remotes.values())
      if (spec.service?.namespace === changed.namespace && spec.service.name === changed.name) this.check(name);
  }

  private read(name: string): { service: APIService; revision: number } | undefined {
    const entry = this.cache.get('', name);
    return entry && { service: decodeBytes<APIService>(entry.bytes), revision: entry.revision };
  }

  private follow(name: string): void {
    const { spec, status } = this.read(name)?.service ?? {};
    const before = this.remotes.get(name);
    if (!spec?.service) {
      if (!before) return;
      this.remotes.delete(name);
      this.checks.get(name)?.cancel();
      this.checks.delete(name);
      this.generation++;
      return;
    }
    const condition = status?.conditions?.find(({ type }) => type === 'Available');
    const isNew = JSON.stringify(before?.spec) !== JSON.stringify(spec);
    this.remotes.set(name, {
      name,
      group: spec.group ?? '',
      version: spec.version ?? '',
      priority: { group: spec.groupPriorityMinimum, version: spec.versionPriority },
      spec,
      isAvailable: condition?.status === 'True',
      resources: before?.resources ?? [],
      openApi: before?.openApi,
    });
    this.generation++;
    if (isNew) this.check(name);
  }

  /** Once at a time for each; what changes meanwhile brings another round. */
  private check(name: string): void {
    if (this.closed) return;
    let state = this.checks.get(name);
    if (!state) this.checks.set(name, (state = { running: false, again: false, cancel: () => undefined }));
    state.cancel();
    if (state.running) {
      state.again = true;
      return;
    }
    state.running = true;
    const current = state;
    void this.judge(name)
      .then(condition => this.report(name, condition).then(() => condition.status === 'True'))
      .catch((err: unknown) => {
        this.deps.logger.warn({ err, name }, 'availability of an APIService not reported');
        return false;
      })
      .then(passed => {
        current.running = false;
        if (this.closed || !this.remotes.has(name)) return;
        if (current.again) {
          current.again = false;
          this.check(name);
        } else current.cancel = this.deps.clock.after(passed ? recheckMs : retryMs, () => this.check(name));
      });
  }

  private async judge(name: string): Promise<Condition> {
    const remote = this.remotes.get(name);
    if (!remote?.spec.service) return available;
    const problem = obstacle(remote.spec.service, this.deps.caches);
    if (problem) return problem;
    const target = this.target(remote);
    const { service } = remote.spec;
    if (!target)
      return unavailable('FailedDiscoveryCheck', `no endpoints available for service ${JSON.stringify(service.name)}`);
    const { group, version } = remote;
    try {
      // Its status is no secret: who may be asked is looked at when somebody's request goes there.
      const unchecked = { ...target, tls: { ...target.tls, rejectUnauthorized: false } };
      const list = await fetchDocument(unchecked, `/apis/${group}/${version}`);
      const index = (await fetchDocument(unchecked, '/openapi/v3').catch(() => undefined)) as
        { paths?: Record<string, { serverRelativeURL?: string }> } | undefined;
      const current = this.remotes.get(name);
      if (current) {
        current.resources = toDiscoveredResources(list, group, version);
        current.openApi = index?.paths?.[`apis/${group}/${version}`]?.serverRelativeURL;
        this.generation++;
      }
      return available;
    } catch (error) {
      return unavailable('FailedDiscoveryCheck', (error as Error).message);
    }
  }

  private async report(name: string, condition: Condition): Promise<void> {
    const { storage, definition, clock } = this.deps;
    for (let attempt = 0; attempt < maxConflicts; attempt++) {
      const current = this.read(name);
      if (!current?.service.spec?.service) return;
      const { service, revision } = current;
      const conditions = service.status?.conditions ?? [];
      const before = conditions.find(({ type }) => type === condition.type);
      const { status, reason, message } = condition;
      if (before?.status === status && before.reason === reason && before.message === message) return;
      const since = before?.status === status ? before.lastTransitionTime : formatTime(clock.now());
      const others = conditions.filter(({ type }) => type !== condition.type);
      const next = {
        ...service,
        status: { ...service.status, conditions: [...others, { ...condition, lastTransitionTime: since }] },
      };
      const write = { definition, namespace: '', name, object: next as APIService, expected: revision };
      if (await storage.commit(write)) return;
    }
  }
}
