import fs from 'node:fs';
import { StatusError } from '@naru/foundation';
import { openInRoot } from './rootfs-path';

/** Numeric identity of a process, as the OCI specification wants it. */
export interface ProcessUser {
  uid: number;
  gid: number;
  additionalGids: number[];
}

const databaseLimitBytes = 4 << 20;

function records(root: string, file: string): string[][] {
  const handle = openInRoot(root, file);
  if (handle === undefined) return [];
  try {
    const buffer = Buffer.alloc(Math.min(fs.fstatSync(handle).size, databaseLimitBytes));
    const length = fs.readSync(handle, buffer, 0, buffer.length, 0);
    return buffer
      .toString('utf8', 0, length)
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(line => line.split(':'));
  } finally {
    fs.closeSync(handle);
  }
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

/** What is above, the kernel takes as negative: -1 says "leave it as it is", and the process would stay root. */
const maxId = 2 ** 31 - 1;

/** The number that a text is, if a user or a group may have it. */
export function numericId(text: string): number | undefined {
  return isNumber(text) && Number(text) <= maxId ? Number(text) : undefined;
}

function requireId(kind: 'uid' | 'gid', text: string): number {
  const id = numericId(text);
  if (id === undefined) throw new StatusError('BadRequest', `the ${kind} "${text}" is no number of 0 to ${maxId}`);
  return id;
}

/**
 * Resolves `user[:group]`, by name or number, in the /etc/passwd and /etc/group of a container's root. A number that is not listed is used
 * as it is, with group 0. Additional groups are those in which /etc/group lists the user. Throws BadRequest for an unknown name, and for
 * what can be no id.
 */
export function resolveUser(root: string, spec: string): ProcessUser {
  const [user = '', group = ''] = spec.split(':');
  const passwd = records(root, '/etc/passwd');
  const entry =
    passwd.find(fields => (isNumber(user) ? fields[2] === user : fields[0] === user)) ??
    (user === '' ? passwd.find(fields => fields[2] === '0') : undefined);
  if (!entry && user !== '' && !isNumber(user))
    throw new StatusError('BadRequest', `unable to find user ${user}: no matching entries in passwd file`);
  const uid = requireId('uid', entry?.[2] ?? (user || '0'));
  const name = entry?.[0];
  const groups = records(root, '/etc/group');
  let gid = requireId('gid', entry?.[3] ?? '0');
  if (group !== '') {
    const groupEntry = groups.find(fields => (isNumber(group) ? fields[2] === group : fields[0] === group));
    if (!groupEntry && !isNumber(group))
      throw new StatusError('BadRequest', `unable to find group ${group}: no matching entries in group file`);
    gid = requireId('gid', groupEntry?.[2] ?? group);
  }
  const additional =
    name === undefined
      ? []
      : groups.filter(fields => (fields[3] ?? '').split(',').includes(name)).map(fields => numericId(fields[2] ?? ''));
  return { uid, gid, additionalGids: [...new Set(additional)].filter(id => id !== undefined) };
}

/** The home directory that /etc/passwd gives a user, for $HOME. */
export function homeOf(root: string, uid: number): string {
  return records(root, '/etc/passwd').find(fields => fields[2] === String(uid))?.[5] || (uid === 0 ? '/root' : '/');
}
