import fs from 'node:fs';
import { isIP } from 'node:net';
import { StatusError } from '@naru/foundation';

/** The file of `--registry-config`: how to reach registries. */
export interface RegistryConfig {
  registries?: Record<
    string,
    {
      /** Tried in order before the registry itself: `https://host[:port][/prefix]` or `http://...`. */
      mirrors?: string[];
      /** The registry speaks HTTP without TLS. */
      plainHttp?: boolean;
    }
  >;
}

/** Reads the file; an empty name means no configuration. Throws BadRequest when it is not valid. */
export function readRegistryConfig(file: string): RegistryConfig {
  if (file === '') return {};
  try {
    const parsed: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null) throw new Error('it is not a JSON object');
    for (const entry of Object.values((parsed as RegistryConfig).registries ?? {}))
      entry.mirrors?.forEach(url => new URL(url));
    return parsed;
  } catch (cause) {
    throw new StatusError('BadRequest', `cannot read the registry configuration ${file}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** The base addresses of a registry in the order to try: mirrors, then itself. Plain HTTP only on loopback or when configured. */
export function endpoints(config: RegistryConfig, registry: string): string[] {
  const entry = config.registries?.[registry];
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const scheme = entry?.plainHttp || isLoopback(registry) ? 'http' : 'https';
  return [...(entry?.mirrors ?? []).map(url => url.replace(/\/$/, '')), `${scheme}://${host}`];
}
