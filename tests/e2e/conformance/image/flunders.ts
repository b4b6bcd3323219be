import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';

export interface Flunder {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace: string; labels?: Record<string, string> } & Record<string, unknown>;
  spec?: unknown;
}

export interface FlunderEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: Flunder;
}

/** What goes wrong: the code and reason of the Status. */
export class FlunderError extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

/** The objects of the sample API server, in memory, with versions like those of a store. Emits "event" with each change. */
export class Flunders extends EventEmitter<{ event: [FlunderEvent] }> {
  private readonly objects = new Map<string, Flunder>();
  private version = 1;

  get resourceVersion(): string {
    return String(this.version);
  }

  list(namespace: string): Flunder[] {
    return [...this.objects.values()].filter(({ metadata }) => namespace === '' || metadata.namespace === namespace);
  }

  get(namespace: string, name: string): Flunder {
    const found = this.objects.get(`${namespace}/${name}`);
    if (!found) throw new FlunderError(404, 'NotFound', `flunders.wardle.example.com "${name}" not found`);
    return found;
  }

  create(namespace: string, object: Flunder): Flunder {
    const { name } = object.metadata;
    if (this.objects.has(`${namespace}/${name}`))
      throw new FlunderError(409, 'AlreadyExists', `flunders.wardle.example.com "${name}" already exists`);
    const creationTimestamp = new Date().toISOString().replace(/\.\d+/, '');
    return this.put('ADDED', namespace, {
      ...object,
      metadata: { ...object.metadata, uid: randomUUID(), creationTimestamp },
    });
  }

  replace(namespace: string, name: string, object: Flunder): Flunder {
    const { metadata } = this.get(namespace, name);
    const given = object.metadata['resourceVersion'];
    if (given !== undefined && given !== metadata['resourceVersion'])
      throw new FlunderError(409, 'Conflict', 'the object has been modified');
    const { uid, creationTimestamp } = metadata;
    return this.put('MODIFIED', namespace, {
      ...object,
      metadata: { ...object.metadata, name, uid, creationTimestamp },
    });
  }

  remove(namespace: string, name: string): Flunder {
    const object = this.get(namespace, name);
    this.objects.delete(`${namespace}/${name}`);
    return this.tell('DELETED', object);
  }

  private put(type: 'ADDED' | 'MODIFIED', namespace: string, object: Flunder): Flunder {
    const put = this.tell(type, { ...object, metadata: { ...object.metadata, namespace } });
    this.objects.set(`${namespace}/${object.metadata.name}`, put);
    return put;
  }

  private tell(type: FlunderEvent['type'], { metadata, ...rest }: Flunder): Flunder {
    const object = { ...rest, metadata: { ...metadata, resourceVersion: String(++this.version) } };
    this.emit('event', { type, object });
    return object;
  }
}
