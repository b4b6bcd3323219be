import { formatTime, type Clock, type Logger } from '@naru/foundation';
import { flowSchemas, priorityLevelConfigurations, type FlowSchema, type Scheme } from '@naru/api';
import { decodeBytes } from '../storage/codec';
import type { Storage } from '../storage/storage';

export interface FlowSchemaStatusDeps {
  storage: Storage;
  scheme: Scheme;
  clock: Clock;
  logger: Logger;
}

type Condition = NonNullable<NonNullable<FlowSchema['status']>['conditions']>[number];

/** Says of each flow schema whether the priority level that it names is there: its condition Dangling. */
export class FlowSchemaStatus {
  private stopListening: () => void = () => undefined;
  private working: Promise<void> | undefined;
  private dirty = false;

  constructor(private readonly deps: FlowSchemaStatusDeps) {}

  start(): void {
    const kinds = new Set<string>([flowSchemas.resource, priorityLevelConfigurations.resource]);
    this.stopListening = this.deps.storage.onCommit(events => {
      if (events.some(({ definition }) => kinds.has(definition.type.resource))) this.sync();
    });
    this.sync();
  }

  /** Resolves when nothing is being written any more. */
  async close(): Promise<void> {
    this.stopListening();
    await this.working;
  }

  private sync(): void {
    this.dirty = true;
    this.working ??= this.run().finally(() => (this.working = undefined));
  }

  private async run(): Promise<void> {
    while (this.dirty) {
      this.dirty = false;
      try {
        await this.writeAll();
      } catch (err) {
        this.deps.logger.warn({ err }, 'the status of flow schemas could not be written');
      }
    }
  }

  private async writeAll(): Promise<void> {
    const { storage, scheme, clock } = this.deps;
    const cacheOf = ({ group, version, resource }: typeof flowSchemas | typeof priorityLevelConfigurations) =>
      storage.cache(scheme.byResource(group, version, resource)!);
    const schemas = cacheOf(flowSchemas);
    const levels = cacheOf(priorityLevelConfigurations);
    for (const entry of schemas.select({ namespace: '' })) {
      const schema = decodeBytes<FlowSchema>(entry.bytes);
      const level = schema.spec?.priorityLevelConfiguration.name ?? '';
      const wanted = dangling(level, levels.get('', level) !== undefined, formatTime(clock.now()));
      const others = (schema.status?.conditions ?? []).filter(({ type }) => type !== wanted.type);
      const known = schema.status?.conditions?.find(({ type }) => type === wanted.type);
      if (known?.status === wanted.status && known?.message === wanted.message) continue;
      const object = { ...schema, status: { ...schema.status, conditions: [...others, wanted] } };
      const write = { definition: schemas.definition, namespace: '', name: entry.name, object };
      // Who was faster has brought about another round.
      await storage.commit({ ...write, expected: entry.revision });
    }
  }
}

function dangling(level: string, exists: boolean, now: string): Condition {
  const opening = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)}`;
  return {
    type: 'Dangling',
    status: exists ? 'False' : 'True',
    reason: exists ? 'Found' : 'NotFound',
    message: exists ? `${opening} and it exists` : `${opening} but there is no such object`,
    lastTransitionTime: now,
  };
}
