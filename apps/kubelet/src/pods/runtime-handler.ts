import { runtimeClasses } from '@naru/api';
import type { ObjectsClient } from '@naru/client';

/** The runtime's handler for pods of a RuntimeClass; '' is its default. Throws for a class that does not exist. */
export async function runtimeHandler(client: ObjectsClient, runtimeClass: string | undefined): Promise<string> {
  if (!runtimeClass) return '';
  return (await client.get(runtimeClasses, { name: runtimeClass })).handler;
}
