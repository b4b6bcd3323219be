import { setMaxListeners } from 'node:events';
import type { Clock, Logger } from '@naru/foundation';
import {
  cleanupFinalizer,
  customKind,
  customResourceDefinitions,
  deepEqual,
  isDefinitionConditionTrue,
  loadRules,
  type AnyDefinition,
  type CustomResourceDefinition,
  type Scheme,
} from '@naru/api';
import { deleteObject } from '../objects/delete';
import type { ObjectDeps } from '../objects/deps';
import type { KindHooks } from '../objects/kind-hooks';
import { decodeBytes } from '../storage/codec';
import type { CommittedEvent, Storage } from '../storage/storage';
import type { WatchCache } from '../storage/watch-cache';
import { Conversion } from './conversion';
import type { ResolveService } from '../webhooks/webhook-client';
import { useLinearPatterns } from './linear-patterns';
import { nextStatus, setCondition, takenNames } from './names';

export interface CustomResourcesDeps {
  storage: Storage;
  scheme: Scheme;
  objects: ObjectDeps;
  resolveService: ResolveService;
  clock: Clock;
  logger: Logger;
  /** Told after other resources are served than before. */
  onChange?(): void;
}

/** One definition as it is served. */
interface Served {
  uid: string;
  /** What the rows were made from: another means other rows. */
  made: { spec: CustomResourceDefinition['spec']; names: unknown; storedVersions: unknown; terminating: boolean };
  rows: readonly AnyDefinition[];
  /** The row of the version that objects are stored in. */
  stored: AnyDefinition;
}

const retryMs = 1_000;
const maxConflicts = 20;
const deletionWorkers = 8;

/**
 * Follows the CustomResourceDefinitions: accepts their names, serves what they define, and cleans up behind them. It goes
 * by committed definitions only, so each of several api-servers serves the same.
 */
export class CustomResources {
  private readonly definition: AnyDefinition;
  private readonly cache: WatchCache;
  private readonly served = new Map<string, Served>();
  /** Definitions to look at; one at a time, since they compete for names. */
  private readonly queue = new Set<string>();
  private working: Promise<void> | undefined;
  private readonly controller = new AbortController();
  private stopListening: () => void = () => undefined;

  constructor(private readonly deps: CustomResourcesDeps) {
    const { group, version, resource } = customResourceDefinitions;
    this.definition = deps.scheme.byResource(group, version, resource)!;
    this.cache = deps.storage.cache(this.definition);
    // Each deletion listens.
    setMaxListeners(0, this.controller.signal);
  }

  /** Serves what is defined already. */
  async start(): Promise<void> {
    useLinearPatterns();
    this.stopListening = this.deps.storage.onCommit(events => this.onCommit(events));
    for (const { name } of this.cache.select({ namespace: '' })) this.enqueue(name);
    await this.idle();
  }

  /** Resolves when there is nothing left to do at once. */
  async idle(): Promise<void> {
    while (this.working) await this.working;
  }

  close(): void {
    this.stopListening();
    this.controller.abort();
    this.queue.clear();
  }

  private onCommit(events: readonly CommittedEvent[]): void {
    for (const { definition, event } of events) {
      if (definition === this.definition) this.onDefinition(event.entry.name, event.type === 'DELETED');
      else if (definition.schema && event.type === 'DELETED') {
        const name = `${definition.type.resource}.${definition.type.group}`;
        if (this.served.get(name)?.made.terminating) this.enqueue(name);
      }
    }
  }

  private onDefinition(name: string, gone: boolean): void {
    this.enqueue(name);
    if (!gone) return;
    // Its names are free: somebody may have waited for them.
    const group = name.slice(name.indexOf('.') + 1);
    for (const other of this.cache.select({ namespace: '' }))
      if (other.name.endsWith(`.${group}`)) this.enqueue(other.name);
  }

  private enqueue(name: string): void {
    if (this.controller.signal.aborted) return;
    this.queue.add(name);
    this.working ??= this.work().finally(() => {
      this.working = undefined;
      const [next] = this.queue;
      if (next !== undefined) this.enqueue(next);
    });
  }

  private async work(): Promise<void> {
    for (const name of this.queue) {
      this.queue.delete(name);
      try {
        await this.reconcile(name);
      } catch (err) {
        if (this.controller.signal.aborted) return;
        this.deps.logger.error({ err, name }, 'custom resource definition failed');
        this.deps.clock.after(retryMs, () => this.enqueue(name));
      }
    }
  }

  private read(name: string): { crd: CustomResourceDefinition; revision: number } | undefined {
    const entry = this.cache.get('', name);
    return entry && { crd: decodeBytes<CustomResourceDefinition>(entry.bytes), revision: entry.revision };
  }

  private async reconcile(name: string): Promise<void> {
    const crd = this.read(name)?.crd;
    const served = this.served.get(name);
    if (served && served.uid !== crd?.metadata?.uid) this.withdraw(name, served);
    if (!crd) return;
    if (!crd.metadata?.deletionTimestamp && (await this.updateStatus(name))) return;
    if (isDefinitionConditionTrue(crd, 'Established')) await this.serve(name, crd);
    if (crd.metadata?.deletionTimestamp && crd.metadata.finalizers?.includes(cleanupFinalizer))
      await this.cleanUp(name);
  }

  /** True when the status was changed: its commit brings the definition back here. */
  private async updateStatus(name: string): Promise<boolean> {
    return this.change(name, crd => {
      const others: CustomResourceDefinition[] = [];
      for (const entry of this.cache.select({ namespace: '' }))
        if (entry.name !== name && entry.name.endsWith(`.${crd.spec.group}`)) others.push(decodeBytes(entry.bytes));
      const status = nextStatus(crd, takenNames(others), this.deps.clock.now());
      return deepEqual(status, crd.status) ? undefined : { ...crd, status };
    });
  }

  /** Writes what `make` gives, over whatever anyone else writes meanwhile. False when there is nothing to write. */
  private async change(
    name: string,
    make: (crd: CustomResourceDefinition) => CustomResourceDefinition | undefined,
  ): Promise<boolean> {
    for (let attempt = 0; attempt < maxConflicts; attempt++) {
      const current = this.read(name);
      const next = current && make(current.crd);
      if (!next) return false;
      const gone = next.metadata?.deletionTimestamp && (next.metadata.finalizers ?? []).length === 0;
      const write = {
        definition: this.definition,
        namespace: '',
        name,
        object: gone ? undefined : next,
        expected: current.revision,
      };
      if (await this.deps.storage.commit(write)) return true;
    }
    throw new Error(`Cannot write the definition ${name}: it changes all the time`);
  }

  private async serve(name: string, crd: CustomResourceDefinition): Promise<void> {
    const { scheme, storage, logger } = this.deps;
    const before = this.served.get(name);
    const made = {
      spec: crd.spec,
      names: crd.status?.acceptedNames,
      storedVersions: crd.status?.storedVersions,
      terminating: crd.metadata?.deletionTimestamp !== undefined,
    };
    if (before && deepEqual(before.made, made)) return;
    if (JSON.stringify(crd.spec).includes('"x-kubernetes-validations"')) await loadRules();
    const { rows, stored } = this.makeRows(crd);
    if (!before) await storage.addResource(stored);
    else if (!deepEqual(before.made.spec, made.spec)) storage.redefineResource(stored);
    for (const row of before?.rows ?? [])
      if (!rows.some(({ type }) => type.version === row.type.version && type.kind === row.type.kind))
        scheme.remove(row);
    for (const row of rows) scheme.add(row);
    this.served.set(name, { uid: crd.metadata?.uid ?? '', made, rows, stored });
    logger.info({ name, versions: rows.map(({ type }) => type.version) }, 'custom resource served');
    this.deps.onChange?.();
  }

  private makeRows(crd: CustomResourceDefinition): { rows: AnyDefinition[]; stored: AnyDefinition } {
    const { spec, status, metadata } = crd;
    const storage = spec.versions.find(version => version.storage)!;
    const storedRow = customKind({ crd, version: storage });
    const mixed = spec.versions.length > 1 || status?.storedVersions?.some(version => version !== storage.name);
    const rows = spec.versions
      .filter(version => version.served)
      .map(version => {
        if (!mixed) return storedRow;
        const conversion = new Conversion(crd, storedRow, version.name, this.deps.resolveService);
        const row = customKind({ crd, version, storedAs: conversion });
        conversion.definition = row;
        return row;
      })
      .map(row => (metadata?.deletionTimestamp ? { ...row, verbs: row.verbs.filter(verb => verb !== 'create') } : row));
    return { rows, stored: storedRow };
  }

  private withdraw(name: string, { rows, stored }: Served): void {
    const { scheme, storage, logger } = this.deps;
    for (const row of rows) scheme.remove(row);
    storage.removeResource(stored);
    this.served.delete(name);
    logger.info({ name }, 'custom resource withdrawn');
    this.deps.onChange?.();
  }

  /** Deletes the objects of a definition that is going; when the last is gone, so is the definition. */
  private async cleanUp(name: string): Promise<void> {
    const served = this.served.get(name);
    if (served) {
      const instances = this.deps.storage.cache(served.stored).select({ namespace: '' });
      await this.deleteInstances(served, instances);
      // Those with finalizers go later, and then the definition is looked at again.
      if (this.deps.storage.cache(served.stored).size > 0) return this.reportInstances(name, true);
    }
    await this.change(name, crd => {
      const finalizers = crd.metadata?.finalizers?.filter(finalizer => finalizer !== cleanupFinalizer);
      return { ...crd, metadata: { ...crd.metadata, finalizers } };
    });
  }

  private async deleteInstances({ stored }: Served, instances: readonly { namespace: string; name: string }[]) {
    const remaining = instances.values();
    const user = { username: 'system:apiserver', groups: ['system:masters'] };
    const work = async (): Promise<void> => {
      for (const { namespace, name } of remaining) {
        const request = {
          user,
          verb: 'delete' as const,
          definition: stored,
          namespace,
          name,
          subresource: '',
          dryRun: false,
          fieldManager: '',
          fieldValidation: undefined,
          warnings: [],
          signal: this.controller.signal,
        };
        try {
          await deleteObject(this.deps.objects, request, {});
        } catch (error) {
          if ((error as { reason?: string }).reason !== 'NotFound') throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: deletionWorkers }, work));
  }

  private async reportInstances(name: string, remaining: boolean): Promise<void> {
    await this.change(name, crd => {
      const status = { ...crd.status };
      setCondition(
        status,
        {
          type: 'Terminating',
          status: remaining ? 'True' : 'False',
          reason: remaining ? 'InstanceDeletionInProgress' : 'InstanceDeletionCompleted',
          message: remaining ? 'CustomResource deletion is in progress' : 'removed all instances',
        },
        this.deps.clock.now(),
      );
      return deepEqual(status, crd.status) ? undefined : { ...crd, status };
    });
  }
}

/** A definition is held until its objects are gone, from the moment when it is asked to go. */
export function definitionHooks(clock: Clock): KindHooks {
  return {
    resource: `${customResourceDefinitions.group}/${customResourceDefinitions.resource}`,
    beginDelete(object) {
      const crd = object as CustomResourceDefinition;
      if (crd.metadata?.deletionTimestamp) return;
      const finalizers = crd.metadata?.finalizers ?? [];
      if (!finalizers.includes(cleanupFinalizer))
        crd.metadata = { ...crd.metadata, finalizers: [...finalizers, cleanupFinalizer] };
      crd.status = { ...crd.status };
      setCondition(
        crd.status,
        {
          type: 'Terminating',
          status: 'True',
          reason: 'InstanceDeletionPending',
          message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
        },
        clock.now(),
      );
    },
  };
}
