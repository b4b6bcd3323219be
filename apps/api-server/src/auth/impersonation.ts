import type { IncomingMessage } from 'node:http';
import { badRequest } from '../objects/failures';
import type { UserInfo } from '../objects/request';
import type { Authorizer } from './authorizer';

/** Who a request wants to act as. */
interface Wish {
  username: string | undefined;
  uid: string | undefined;
  groups: string[];
  extra: Record<string, string[]>;
}

const prefix = 'impersonate-';
const extraPrefix = 'impersonate-extra-';
const authenticationGroup = 'authentication.k8s.io';
const serviceAccount = /^system:serviceaccount:([^:]+):([^:]+)$/;
const anonymous = 'system:anonymous';
const general = ['system:authenticated', 'system:unauthenticated'];

/**
 * The user that a request acts as: `user`, or whom the Impersonate-* headers name and `user` may impersonate. Every
 * part of the wish needs leave of its own. Source: apiserver's impersonation filter.
 * @throws StatusError Forbidden
 */
export function actingUser(user: UserInfo, request: IncomingMessage, authorizer: Authorizer): UserInfo {
  const wish = wishOf(request);
  if (!wish) return user;
  const { username, uid, groups, extra } = wish;
  if (username === undefined)
    throw badRequest(`requested ${JSON.stringify({ uid, groups, extra })} without impersonating a user`);
  const need = (
    group: string,
    resource: string,
    name: string,
    more: { namespace?: string; subresource?: string } = {},
  ) =>
    authorizer.require({
      user,
      verb: 'impersonate',
      group,
      version: 'v1',
      resource,
      subresource: '',
      namespace: '',
      name,
      ...more,
    });
  const account = serviceAccount.exec(username);
  if (account) need('', 'serviceaccounts', account[2]!, { namespace: account[1]! });
  else need('', 'users', username);
  if (uid !== undefined) need(authenticationGroup, 'uids', uid);
  for (const group of groups) need('', 'groups', group);
  for (const [key, values] of Object.entries(extra))
    for (const value of values) need(authenticationGroup, 'userextras', value, { subresource: key });
  return {
    username,
    uid,
    groups: groupsOf(username, groups, account?.[1]),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

function groupsOf(username: string, wanted: readonly string[], accountNamespace: string | undefined): string[] {
  const groups = [...wanted];
  if (groups.length === 0 && accountNamespace !== undefined)
    groups.push('system:serviceaccounts', `system:serviceaccounts:${accountNamespace}`);
  if (!groups.some(group => general.includes(group))) groups.push(general[username === anonymous ? 1 : 0]!);
  return groups;
}

function wishOf({ headers, rawHeaders }: IncomingMessage): Wish | undefined {
  let asked = false;
  for (const name in headers) if (name.startsWith(prefix)) asked = true;
  if (!asked) return undefined;
  const extra = Object.create(null) as Record<string, string[]>;
  const wish: Wish = { username: undefined, uid: undefined, groups: [], extra };
  // One by one: joined by commas, repeated headers could not be told apart.
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = rawHeaders[i + 1]!;
    if (name === 'impersonate-user') wish.username = value;
    else if (name === 'impersonate-uid') wish.uid = value;
    else if (name === 'impersonate-group') wish.groups.push(value);
    else if (name.startsWith(extraPrefix)) (wish.extra[extraKey(name)] ??= []).push(value);
  }
  return wish;
}

function extraKey(header: string): string {
  const key = header.slice(extraPrefix.length);
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
