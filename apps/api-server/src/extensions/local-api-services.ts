import { randomUUID } from 'node:crypto';
import { formatTime, type Clock, type Logger } from '@naru/foundation';
import {
  apiServices,
  groupPriority,
  versionPriority,
  type AnyDefinition,
  type APIService,
  type Scheme,
} from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { CommittedEvent, Storage } from '../storage/storage';

export interface LocalApiServicesDeps {
  storage: Storage;
  scheme: Scheme;
  clock: Clock;
  logger: Logger;
}

/** Marks the objects that this server keeps. */
const managedLabel = 'kube-aggregator.kubernetes.io/automanaged';
const maxRounds = 5;

/** Keeps an APIService for each group and version that the server itself answers, as `kubectl get apiservices` shows. */
export class LocalApiServices {
  private readonly definition: AnyDefinition;
  private working: Promise<void> | undefined;
  private again = false;
  private stopListening: () => void = () => undefined;

  constructor(private readonly deps: LocalApiServicesDeps) {
    const { group, version, resource } = apiServices;
    this.definition = deps.scheme.byResource(group, version, resource)!;
  }

  async start(): Promise<void> {
    this.stopListening = this.deps.storage.onCommit(events => this.onCommit(events));
    this.sync();
    await this.idle();
  }

  /** Looks again at what is served. */
  sync(): void {
    if (this.working) {
      this.again = true;
      return;
    }
    this.working = this.reconcile()
      .catch((err: unknown) => this.deps.logger.error({ err }, 'local APIServices failed'))
      .finally(() => {
        this.working = undefined;
        if (!this.again) return;
        this.again = false;
        this.sync();
      });
  }

  async idle(): Promise<void> {
    while (this.working) await this.working;
  }

  close(): void {
    this.stopListening();
    this.again = false;
  }

  private onCommit(events: readonly CommittedEvent[]): void {
    if (events.some(({ definition, event }) => definition === this.definition && event.type === 'DELETED')) this.sync();
  }

  private async reconcile(): Promise<void> {
    const { storage } = this.deps;
    const cache = storage.cache(this.definition);
    const wanted = this.wanted();
    for (const [name, make] of wanted)
      for (let round = 0; round < maxRounds && !cache.get('', name); round++) await this.write(name, make(), 0);
    for (const { name, revision, bytes } of cache.select({ namespace: '' })) {
      if (wanted.has(name)) continue;
      const labels = decodeBytes<APIService>(bytes).metadata?.labels;
      if (labels?.[managedLabel] !== undefined) await this.write(name, undefined, revision);
    }
  }

  private async write(name: string, object: APIService | undefined, expected: number): Promise<void> {
    await this.deps.storage.commit({ definition: this.definition, namespace: '', name, object, expected });
  }

  private wanted(): Map<string, () => APIService> {
    const { scheme } = this.deps;
    const wanted = new Map<string, () => APIService>();
    for (const [group, versions] of [['', ['v1']] as [string, string[]], ...scheme.groups()]) {
      // The registrations themselves are not registered.
      if (group === apiServices.group) continue;
      const isCustom = scheme.inGroup(group).some(definition => definition.schema);
      for (const version of versions)
        wanted.set(`${version}.${group}`, () => this.make(group, version, versions, isCustom));
    }
    return wanted;
  }

  private make(group: string, version: string, versions: readonly string[], isCustom: boolean): APIService {
    const now = formatTime(this.deps.clock.now());
    return {
      apiVersion: `${apiServices.group}/${apiServices.version}`,
      kind: apiServices.kind,
      metadata: {
        name: `${version}.${group}`,
        uid: randomUUID(),
        creationTimestamp: now,
        labels: { [managedLabel]: isCustom ? 'true' : 'onstart' },
      },
      spec: {
        ...(group === '' ? {} : { group }),
        version,
        groupPriorityMinimum: groupPriority(group),
        versionPriority: versionPriority(group, version, versions),
      },
      status: {
        conditions: [
          {
            type: 'Available',
            status: 'True',
            reason: 'Local',
            message: 'Local APIServices are always available',
            lastTransitionTime: now,
          },
        ],
      },
    };
  }
}
