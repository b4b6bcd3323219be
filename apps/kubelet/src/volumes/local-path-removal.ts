import { rm } from 'node:fs/promises';
import path from 'node:path';
import { nodes, type Node, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import type { Logger } from '@naru/foundation';

/** On this node's Node: `remove.volumes.naru.dev/VOLUME: PATH` asks for the removal of a local volume's directory. */
const prefix = 'remove.volumes.naru.dev/';

/** The directories that are to be removed, by annotation. Only those that are named as their volume, and not near the root. */
export function requestedRemovals(node: Node): Map<string, string> {
  const wanted = new Map<string, string>();
  for (const [key, directory] of Object.entries(node.metadata?.annotations ?? {})) {
    if (!key.startsWith(prefix) || !directory) continue;
    const isOwn = path.isAbsolute(directory) && path.resolve(directory) === directory;
    if (isOwn && path.basename(directory) === key.slice(prefix.length) && directory.split('/').length > 3)
      wanted.set(key, directory);
  }
  return wanted;
}

/** Removes what the node's annotations ask for, and answers each with "". */
export async function removeLocalVolumes(
  node: Stored<Node>,
  { client, logger }: { client: ObjectsClient; logger: Logger },
): Promise<void> {
  const wanted = requestedRemovals(node);
  if (wanted.size === 0) return;
  const removed: Record<string, string> = {};
  for (const [annotation, directory] of wanted) {
    try {
      await rm(directory, { recursive: true, force: true });
      removed[annotation] = '';
      logger.info({ directory }, 'local volume removed');
    } catch (err) {
      // Asked again with the next look at the node.
      logger.warn({ err, directory }, 'local volume not removed');
    }
  }
  const body = { metadata: { annotations: removed } };
  await client.patch(nodes, { name: node.metadata.name }, { type: 'merge', body });
}
