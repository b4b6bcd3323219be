import fs from 'node:fs';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { findProgram, type OciRuntime } from '../oci/oci-runtime';
import { runCommand } from '../process/run-command';
import type { ContainerRecord } from './container-record';

export interface CheckpointRequest {
  record: ContainerRecord;
  runtime: OciRuntime;
  /** Where the OCI runtime has its specification. */
  bundle: string;
  /** What it has written to its root, as overlayfs keeps it. */
  upper: string;
  /** On a disk, for as long as this takes: its memory goes there. */
  scratch: string;
  /** The name that the image had in the request. */
  imageName: string;
  /** The archive. */
  location: string;
  timeoutMs: number;
  /** Milliseconds since the epoch. */
  now: number;
}

/** So much of CRIU's log is told when it fails. */
const problemsTold = 3;
const keptAttributes = ['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability'];

/** Throws MethodNotAllowed, in the words by which upstream's tests know that there are no checkpoints; what is missing is its cause. */
export async function requireCheckpoints(runtime: OciRuntime): Promise<void> {
  const missing =
    findProgram('criu') === undefined
      ? 'the program criu is not installed on this node'
      : (await runtime.canCheckpoint())
        ? undefined
        : `${runtime.name} of this node is built without checkpoints: use a RuntimeClass whose handler has them, such as runc`;
  if (missing !== undefined)
    throw new StatusError('MethodNotAllowed', 'method CheckpointContainer not implemented', {
      cause: new Error(missing),
    });
}

/**
 * Writes the state of a container, which runs on, into an archive in the layout of containerd and CRI-O: CRIU's images below checkpoint,
 * config.dump and spec.dump, what the container has written and deleted, and logs. Source: checkpoint-restore/checkpointctl, lib/metadata.go.
 */
export async function checkpoint(request: CheckpointRequest): Promise<void> {
  const { record, runtime, bundle, upper, scratch, location, timeoutMs } = request;
  const at = (name: string): string => path.join(scratch, name);
  fs.rmSync(scratch, { recursive: true, force: true }); // of one that was cut off
  fs.mkdirSync(at('checkpoint'), { recursive: true, mode: 0o700 });
  try {
    const places = { imagePath: at('checkpoint'), workPath: scratch };
    await runtime.checkpoint(record.id, { ...places, timeoutMs }).catch((cause: unknown) => {
      const problems = problemsOf(at('dump.log'));
      throw new Error(`${(cause as Error).message}${problems === '' ? '' : `: ${problems}`}`, { cause });
    });
    fs.writeFileSync(at('config.dump'), JSON.stringify(configDump(request)));
    fs.copyFileSync(path.join(bundle, 'config.json'), at('spec.dump'));
    if (record.logPath !== '' && fs.existsSync(record.logPath)) fs.copyFileSync(record.logPath, at('container.log'));
    const deleted = await deletedFiles(upper);
    fs.writeFileSync(at('deleted.files'), JSON.stringify(deleted));
    const options = { timeoutMs };
    const excluded = ['--anchored', '--no-wildcards', ...deleted.map(name => `--exclude=.${name}`)];
    const diff = ['--create', `--file=${at('rootfs-diff.tar')}`, '--numeric-owner', ...keptAttributes, ...excluded];
    await runCommand('tar', [...diff, `--directory=${upper}`, '.'], options);
    const partial = `${location}.partial`;
    fs.writeFileSync(partial, '', { mode: 0o600 });
    await runCommand(
      'tar',
      ['--create', `--file=${partial}`, `--directory=${scratch}`, ...fs.readdirSync(scratch)],
      options,
    );
    fs.renameSync(partial, location);
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
    fs.rmSync(`${location}.partial`, { force: true });
  }
}

function configDump({ record, runtime, imageName, now }: CheckpointRequest): Record<string, unknown> {
  const time = (ms: number): string => new Date(ms).toISOString();
  return {
    id: record.id,
    name: record.config.metadata?.name ?? '',
    rootfsImage: record.imageId,
    rootfsImageRef: record.imageRef,
    rootfsImageName: imageName,
    runtime: runtime.name,
    createdTime: time(Number(record.createdAt / 1_000_000n)),
    checkpointedTime: time(now),
    restoredTime: '0001-01-01T00:00:00Z',
    restored: false,
  };
}

/** What CRIU calls errors, the last ones. */
function problemsOf(log: string): string {
  if (!fs.existsSync(log)) return '';
  const errors = fs
    .readFileSync(log, 'utf8')
    .split('\n')
    .filter(line => line.includes('Error ('));
  return errors.slice(-problemsTold).join('; ');
}

/** Files of the image that are not there any more: overlayfs marks them by character devices 0:0. */
async function deletedFiles(upper: string, below = '/'): Promise<string[]> {
  const deleted: string[] = [];
  for (const entry of await fs.promises.readdir(path.join(upper, below), { withFileTypes: true })) {
    const name = path.join(below, entry.name);
    if (entry.isDirectory()) deleted.push(...(await deletedFiles(upper, name)));
    else if (entry.isCharacterDevice() && fs.statSync(path.join(upper, name)).rdev === 0) deleted.push(name);
  }
  return deleted;
}
