import type { Environment } from '@marcbachmann/cel-js';

/** What an expression asks the authorizer: about a URL (`path`) or about a resource. */
export interface AuthorizationQuestion {
  /** Absent: the user of the request. */
  serviceAccount?: { namespace: string; name: string };
  verb: string;
  path?: string;
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
}

export type Decide = (question: AuthorizationQuestion) => { allowed: boolean; reason: string };

type Account = AuthorizationQuestion['serviceAccount'];

class Authorizer {
  constructor(
    readonly decide: Decide,
    readonly account: Account,
    /** What the request at hand is about. */
    readonly requested: Requested,
  ) {}

  get requestResource(): ResourceCheck {
    return new ResourceCheck(this, this.requested);
  }
}
class PathCheck {
  constructor(
    readonly authorizer: Authorizer,
    readonly path: string,
  ) {}
}
class GroupCheck {
  constructor(
    readonly authorizer: Authorizer,
    readonly group: string,
  ) {}
}
class ResourceCheck {
  constructor(
    readonly authorizer: Authorizer,
    readonly target: Requested,
  ) {}
}
class Decision {
  constructor(
    readonly allowed: boolean,
    readonly reason: string,
  ) {}
}

export interface Requested {
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
}

/** The value of the variable `authorizer`. */
export function authorizerValue(decide: Decide, requested: Requested): unknown {
  return new Authorizer(decide, undefined, requested);
}

function ask({ authorizer, target }: ResourceCheck, verb: string): Decision {
  const { decide, account } = authorizer;
  const { allowed, reason } = decide({ ...(account ? { serviceAccount: account } : {}), verb, ...target });
  return new Decision(allowed, reason);
}

/** The types and functions of upstream's authz library. */
export function registerAuthorizer(env: Environment): Environment {
  const types = { PathCheck, GroupCheck, ResourceCheck, Decision };
  const t = (name: keyof typeof types | 'Authorizer'): string => `kubernetes.authorization.${name}`;
  for (const [name, type] of Object.entries(types)) env.registerType(t(name as keyof typeof types), type);
  env.registerType(t('Authorizer'), { ctor: Authorizer, fields: { requestResource: t('ResourceCheck') } });
  const narrowed = (check: ResourceCheck, more: Partial<Requested>) =>
    new ResourceCheck(check.authorizer, { ...check.target, ...more });
  return (
    env
      .registerFunction(`${t('Authorizer')}.path(string): ${t('PathCheck')}`, (a: Authorizer, path: string) => {
        if (path === '') throw new Error('path must not be empty');
        return new PathCheck(a, path);
      })
      .registerFunction(`${t('PathCheck')}.check(string): ${t('Decision')}`, (c: PathCheck, verb: string) => {
        const nothing = { group: '', resource: '', subresource: '', namespace: '', name: '' };
        const { decide, account } = c.authorizer;
        const question = { ...nothing, verb, path: c.path, ...(account ? { serviceAccount: account } : {}) };
        const { allowed, reason } = decide(question);
        return new Decision(allowed, reason);
      })
      .registerFunction(
        `${t('Authorizer')}.serviceAccount(string, string): ${t('Authorizer')}`,
        (a: Authorizer, namespace: string, name: string) => new Authorizer(a.decide, { namespace, name }, a.requested),
      )
      .registerFunction(
        `${t('Authorizer')}.group(string): ${t('GroupCheck')}`,
        (a: Authorizer, group: string) => new GroupCheck(a, group),
      )
      .registerFunction(
        `${t('GroupCheck')}.resource(string): ${t('ResourceCheck')}`,
        ({ authorizer, group }: GroupCheck, resource: string) =>
          new ResourceCheck(authorizer, { group, resource, subresource: '', namespace: '', name: '' }),
      )
      .registerFunction(
        `${t('ResourceCheck')}.subresource(string): ${t('ResourceCheck')}`,
        (c: ResourceCheck, subresource: string) => narrowed(c, { subresource }),
      )
      .registerFunction(
        `${t('ResourceCheck')}.namespace(string): ${t('ResourceCheck')}`,
        (c: ResourceCheck, namespace: string) => narrowed(c, { namespace }),
      )
      .registerFunction(`${t('ResourceCheck')}.name(string): ${t('ResourceCheck')}`, (c: ResourceCheck, name: string) =>
        narrowed(c, { name }),
      )
      // Selectors narrow a question; roles know nothing of them, so that the answer is that to the wider one.
      .registerFunction(
        `${t('ResourceCheck')}.fieldSelector(string): ${t('ResourceCheck')}`,
        (c: ResourceCheck, _: string) => c,
      )
      .registerFunction(
        `${t('ResourceCheck')}.labelSelector(string): ${t('ResourceCheck')}`,
        (c: ResourceCheck, _: string) => c,
      )
      .registerFunction(`${t('ResourceCheck')}.check(string): ${t('Decision')}`, ask)
      .registerFunction(`${t('Decision')}.allowed(): bool`, (d: Decision) => d.allowed)
      .registerFunction(`${t('Decision')}.reason(): string`, (d: Decision) => d.reason)
      .registerFunction(`${t('Decision')}.errored(): bool`, () => false)
      .registerFunction(`${t('Decision')}.error(): string`, () => '')
  );
}
