import type { AnyDefinition } from './definition';
import { compareGroups } from '../discovery/group-priority';
import { compareVersions } from './compare-versions';

/** The kinds an api-server serves, with the lookups a request needs. Additions (CRDs) make a new group or row at run time. */
export class Scheme {
  readonly #byResource = new Map<string, AnyDefinition>();
  readonly #byKind = new Map<string, AnyDefinition>();
  #generation = 0;

  constructor(definitions: readonly AnyDefinition[]) {
    for (const definition of definitions) this.add(definition);
  }

  /** Grows with every change: what is derived from the scheme (discovery, OpenAPI) is cached under it. */
  get generation(): number {
    return this.#generation;
  }

  add(definition: AnyDefinition): void {
    const { group, version, resource, kind } = definition.type;
    this.#byResource.set(`${group}/${version}/${resource}`, definition);
    this.#byKind.set(`${group}/${version}/${kind}`, definition);
    this.#generation++;
  }

  remove(definition: AnyDefinition): void {
    const { group, version, resource, kind } = definition.type;
    this.#byResource.delete(`${group}/${version}/${resource}`);
    this.#byKind.delete(`${group}/${version}/${kind}`);
    this.#generation++;
  }

  /** By the names of a URL: ("apps", "v1", "deployments"). */
  byResource(group: string, version: string, resource: string): AnyDefinition | undefined {
    return this.#byResource.get(`${group}/${version}/${resource}`);
  }

  byKind(group: string, version: string, kind: string): AnyDefinition | undefined {
    return this.#byKind.get(`${group}/${version}/${kind}`);
  }

  /** By an object's own words: ("apps/v1", "Deployment"). */
  byApiVersionAndKind(apiVersion: string, kind: string): AnyDefinition | undefined {
    const slash = apiVersion.indexOf('/');
    return slash < 0
      ? this.byKind('', apiVersion, kind)
      : this.byKind(apiVersion.slice(0, slash), apiVersion.slice(slash + 1), kind);
  }

  /** The named groups in order of preference, without the core group, each with its versions (preferred first). */
  groups(): Map<string, string[]> {
    const groups = new Map<string, string[]>();
    for (const { type } of this) {
      if (type.group === '') continue;
      const versions = groups.get(type.group);
      if (!versions) groups.set(type.group, [type.version]);
      else if (!versions.includes(type.version)) versions.push(type.version);
    }
    for (const versions of groups.values()) if (versions.length > 1) versions.sort(compareVersions);
    return new Map([...groups].sort(([a], [b]) => compareGroups(a, b)));
  }

  inGroup(group: string): AnyDefinition[] {
    return [...this].filter(d => d.type.group === group);
  }

  inGroupVersion(group: string, version: string): AnyDefinition[] {
    return [...this].filter(d => d.type.group === group && d.type.version === version);
  }

  [Symbol.iterator](): IterableIterator<AnyDefinition> {
    return this.#byResource.values();
  }
}
