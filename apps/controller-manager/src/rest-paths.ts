import { readFile } from 'node:fs/promises';
import { loadKubeconfig, RestConnection, type RestConfig } from '@naru/client';
import { StatusError, systemClock, type Flags } from '@naru/foundation';
import { ExtensionCalls } from './extension-calls';
import type { managerFlags } from './flags';

const timeoutMs = 10_000;

export interface RestPaths {
  read<T>(path: string): Promise<T>;
  delete(path: string): Promise<void>;
  close(): void;
}

/** REST beside the native wires, for what extension servers serve. Calls are refused when there is no way to it. */
export async function createRestPaths(flags: Flags<typeof managerFlags>): Promise<RestPaths> {
  const config = await restConfig(flags);
  const connection = config && new RestConnection(config, 'controller-manager');
  const calls = new ExtensionCalls(systemClock);
  const call = async (method: 'GET' | 'DELETE', path: string): Promise<Buffer> => {
    if (!connection) throw new StatusError('ServiceUnavailable', 'the REST API is not known: set --rest-api');
    return calls.run(path, () => connection.call({ method, path, timeoutMs }));
  };
  return {
    read: async <T>(path: string) => JSON.parse((await call('GET', path)).toString()) as T,
    delete: async path => void (await call('DELETE', path)),
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
