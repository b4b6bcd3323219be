import { createHash } from 'node:crypto';
import type { Container } from '@naru/api';

/**
 * What makes a running container obsolete when it changes: as upstream, its image alone of all that a pod's update may
 * change (name and image are hashed), as 8 hexadecimal digits. Resizing is not a new definition.
 */
export function containerHash(container: Container): string {
  const text = JSON.stringify([container.name, container.image]);
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
