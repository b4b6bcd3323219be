import { subresourcesOf } from '../discovery/subresources';
import { kindSchema } from '../schema/types';
import type { AnyDefinition } from '../scheme/definition';
import type { Json, SchemaCollector } from './schemas';

type GroupVersionKind = Pick<AnyDefinition['type'], 'group' | 'version' | 'kind'>;

/** What differs between the versions of OpenAPI: how a parameter and a body are written down. */
export interface PathDialect {
  parameter(name: string, place: 'path' | 'query', type: 'string' | 'integer' | 'boolean', description: string): Json;
  /** An operation's body, and its answer. */
  operation(parts: {
    parameters: Json[];
    body?: { schema: Json; mediaTypes: readonly string[] };
    answer: Json;
    rest: Json;
  }): Json;
}

const objectTypes = ['application/json', 'application/yaml'] as const;
const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
] as const;

/** The paths of one kind: its collection, one object, and its subresources. */
export function pathsOf(
  definition: AnyDefinition,
  dialect: PathDialect,
  schemas: SchemaCollector,
): Record<string, Json> {
  const { type, verbs } = definition;
  const { group, version, kind, resource, namespaced } = type;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const base = namespaced ? `${root}/namespaces/{namespace}/${resource}` : `${root}/${resource}`;
  const known = schemas.addKind(group, version, kind);
  const name = known ?? schemas.addCustom(definition);
  const list = known
    ? (schemas.addKind(group, version, `${kind}List`) ?? name)
    : schemas.addCustomList(definition, name);
  const build = new PathBuilder(dialect, schemas);
  const has = (verb: string): boolean => (verbs as readonly string[]).includes(verb);

  const collection: Json = { parameters: build.common(namespaced, false) };
  if (has('list')) collection['get'] = build.list(type, list);
  if (has('create')) collection['post'] = build.write('post', type, name);
  if (has('deletecollection')) collection['delete'] = build.remove('deletecollection', type);
  const item: Json = { parameters: build.common(namespaced, true) };
  if (has('get')) item['get'] = build.read(type, name);
  if (has('update')) item['put'] = build.write('put', type, name);
  if (has('patch')) item['patch'] = build.patch(type, name, definition.strategicMerge);
  if (has('delete')) item['delete'] = build.remove('delete', type);

  const paths: Record<string, Json> = { [base]: collection };
  // Reviews are only posted.
  if (has('get')) paths[`${base}/{name}`] = item;
  if (namespaced && has('list'))
    paths[`${root}/${resource}`] = { parameters: build.common(false, false), get: build.list(type, list) };
  for (const sub of subresourcesOf(definition)) {
    if (!definition.schema && !kindSchema(sub.group, sub.version, sub.kind)) continue;
    const body = schemas.addKind(sub.group, sub.version, sub.kind) ?? name;
    const path: Json = { parameters: build.common(namespaced, true) };
    if (sub.verbs.includes('create')) path['post'] = build.write('post', sub, body);
    if (sub.verbs.includes('get')) path['get'] = build.read(sub, body);
    if (sub.verbs.includes('update')) path['put'] = build.write('put', sub, body);
    if (sub.verbs.includes('patch')) path['patch'] = build.patch(sub, body, definition.strategicMerge);
    paths[`${base}/{name}/${sub.name}`] = path;
  }
  return paths;
}

class PathBuilder {
  constructor(
    private readonly dialect: PathDialect,
    private readonly schemas: SchemaCollector,
  ) {}

  common(namespaced: boolean, named: boolean): Json[] {
    const { dialect } = this;
    const parameters: Json[] = [];
    if (named) parameters.push(dialect.parameter('name', 'path', 'string', 'name of the object'));
    if (namespaced) parameters.push(dialect.parameter('namespace', 'path', 'string', 'object name and auth scope'));
    parameters.push(dialect.parameter('pretty', 'query', 'string', 'If true, the output is pretty printed.'));
    return parameters;
  }

  list(type: GroupVersionKind, name: string): Json {
    const query = (key: string, of: 'string' | 'integer' | 'boolean', text: string): Json =>
      this.dialect.parameter(key, 'query', of, text);
    return this.dialect.operation({
      parameters: [
        query('labelSelector', 'string', 'Restricts the list by labels.'),
        query('fieldSelector', 'string', 'Restricts the list by fields.'),
        query('limit', 'integer', 'The most items to answer.'),
        query('continue', 'string', 'Where the previous answer ended.'),
        query('resourceVersion', 'string', 'How fresh the answer must be.'),
        query('resourceVersionMatch', 'string', 'How resourceVersion is applied.'),
        query('timeoutSeconds', 'integer', 'How long the call may last.'),
        query('watch', 'boolean', 'Follows the changes.'),
        query('allowWatchBookmarks', 'boolean', 'Whether bookmarks are sent.'),
        query('sendInitialEvents', 'boolean', 'Whether a watch begins with the present objects.'),
      ],
      answer: this.schemas.ref(name),
      rest: this.#rest('list', type),
    });
  }

  read(type: GroupVersionKind, name: string): Json {
    return this.dialect.operation({ parameters: [], answer: this.schemas.ref(name), rest: this.#rest('get', type) });
  }

  write(action: 'post' | 'put', type: GroupVersionKind, name: string): Json {
    return this.dialect.operation({
      parameters: this.#writeParameters(),
      body: { schema: this.schemas.ref(name), mediaTypes: objectTypes },
      answer: this.schemas.ref(name),
      rest: this.#rest(action, type),
    });
  }

  /** kubectl goes by the media types here, and sends a strategic merge where it may. */
  patch(type: GroupVersionKind, name: string, strategic: boolean): Json {
    return this.dialect.operation({
      // kubectl looks here for fieldValidation before it leaves validation to the server.
      parameters: [...this.#writeParameters(), this.dialect.parameter('force', 'query', 'boolean', 'Forces apply.')],
      body: {
        schema: this.schemas.ref(this.schemas.addPatch()),
        mediaTypes: strategic ? patchTypes : patchTypes.filter(mediaType => !mediaType.includes('strategic')),
      },
      answer: this.schemas.ref(name),
      rest: this.#rest('patch', type),
    });
  }

  remove(action: 'delete' | 'deletecollection', type: GroupVersionKind): Json {
    const options = this.schemas.addKind('meta', 'v1', 'DeleteOptions') ?? '';
    const status = this.schemas.addKind('meta', 'v1', 'Status') ?? '';
    const { dialect } = this;
    return dialect.operation({
      parameters: [
        dialect.parameter('dryRun', 'query', 'string', 'All: nothing is stored.'),
        dialect.parameter('gracePeriodSeconds', 'query', 'integer', 'How long the object may take to end.'),
        dialect.parameter('propagationPolicy', 'query', 'string', 'Orphan, Background or Foreground.'),
      ],
      body: { schema: this.schemas.ref(options), mediaTypes: objectTypes },
      answer: this.schemas.ref(status),
      rest: this.#rest(action, type),
    });
  }

  #writeParameters(): Json[] {
    const { dialect } = this;
    return [
      dialect.parameter('dryRun', 'query', 'string', 'All: everything is checked, nothing is stored.'),
      dialect.parameter('fieldManager', 'query', 'string', 'Who makes the change.'),
      dialect.parameter('fieldValidation', 'query', 'string', 'Ignore, Warn or Strict: unknown and duplicate fields.'),
    ];
  }

  #rest(action: string, { group, version, kind }: GroupVersionKind): Json {
    return { 'x-kubernetes-action': action, 'x-kubernetes-group-version-kind': { group, kind, version } };
  }
}
