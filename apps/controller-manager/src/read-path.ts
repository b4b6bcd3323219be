import { readFile } from 'node:fs/promises';
import { loadKubeconfig, RestConnection, type RestConfig } from '@naru/client';
import { StatusError, type Flags } from '@naru/foundation';
import type { managerFlags } from './flags';

const timeoutMs = 10_000;

export interface PathReader {
  read<T>(path: string): Promise<T>;
  close(): void;
}

/** REST beside the native wires, for what extension servers serve. Reads refuse when there is no way to it. */
export async function createPathReader(flags: Flags<typeof managerFlags>): Promise<PathReader> {
  const config = await restConfig(flags);
  const connection = config && new RestConnection(config, 'controller-manager');
  return {
    async read<T>(path: string): Promise<T> {
      if (!connection) throw new StatusError('ServiceUnavailable', 'the REST API is not known: set --rest-api');
      return JSON.parse((await connection.call({ method: 'GET', path, timeoutMs })).toString()) as T;
    },
    close: () => connection?.close(),
  };
}

async function restConfig(flags: Flags<typeof managerFlags>): Promise<RestConfig | undefined> {
  if (flags.kubeconfig) return loadKubeconfig(flags.kubeconfig);
  if (!flags['rest-api']) return undefined;
  const [ca, certificate, key] = await Promise.all(
    [flags.ca, flags.certificate, flags.key].map(file => readFile(file, 'utf8')),
  );
  const server = flags['rest-api'];
  return {
    server,
    ca,
    certificate,
    key,
    serverName: 'kubernetes',
    insecure: false,
    authorization: async () => undefined,
  };
}
