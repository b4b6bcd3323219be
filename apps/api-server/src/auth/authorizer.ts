import type { FieldSelector } from '@naru/api';
import { StatusError } from '@naru/foundation';
import { forbidden } from '../objects/failures';
import type { UserInfo } from '../objects/request';

/** A request to a resource, or (with `path`) to another URL. */
export interface Attributes {
  user: UserInfo;
  verb: string;
  group: string;
  version: string;
  resource: string;
  subresource: string;
  namespace: string;
  /** Of a list or watch: the one that its field selector asks for. */
  name: string;
  /** Of a list, a watch or the deletion of a collection. */
  selector?: FieldSelector | undefined;
  /** Set for URLs that are not of a resource. */
  path?: string;
}

/** One voice in the decision; undefined: no opinion. */
export interface AuthorizationRule {
  name: string;
  allows(attributes: Attributes): boolean | undefined;
  /** Why it did not allow, for the message. */
  reason?(attributes: Attributes): string | undefined;
}

/** The first rule with an opinion decides; without any, the answer is no. */
export class Authorizer {
  constructor(private readonly rules: readonly AuthorizationRule[]) {}

  decide(attributes: Attributes): { allowed: boolean; reason: string } {
    const reasons: string[] = [];
    for (const rule of this.rules) {
      const opinion = rule.allows(attributes);
      if (opinion === true) return { allowed: true, reason: rule.name };
      const reason = rule.reason?.(attributes);
      if (reason) reasons.push(reason);
      if (opinion === false) break;
    }
    return { allowed: false, reason: reasons.join(', ') };
  }

  /** @throws StatusError Forbidden in upstream's words. */
  require(attributes: Attributes): void {
    const { allowed, reason } = this.decide(attributes);
    if (allowed) return;
    const { user, verb, group, resource, subresource, namespace, name, path } = attributes;
    const why = reason === '' ? '' : `: ${reason}`;
    if (path !== undefined)
      throw new StatusError('Forbidden', `forbidden: User "${user.username}" cannot ${verb} path "${path}"${why}`, {
        details: {},
      });
    const full = subresource === '' ? resource : `${resource}/${subresource}`;
    const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
    throw forbidden(
      { group, resource },
      name,
      `User "${user.username}" cannot ${verb} resource "${full}" in API group "${group}" ${where}${why}`,
    );
  }
}
