import { watch } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from '@naru/foundation';
import { parse } from 'yaml';
import { parseDuration } from '../config/duration';
import type { KubeletConfiguration } from '../config/kubelet-configuration';

/** A manifest, and where it is from: a file's path, or an address with the place in its list. */
export interface Manifest {
  origin: string;
  text: string;
}

/** Where manifests of static pods come from. */
export interface ManifestSource {
  /** As the annotation kubernetes.io/config.source has it. */
  readonly name: 'file' | 'http';
  /** How often it is looked at when nobody says that it has changed. */
  readonly periodMs: number;
  /** All manifests there are. Throws when that cannot be told: then nothing is to change. */
  read(): Promise<Manifest[]>;
  /** Calls `onChange` when it knows of a change, until the signal. */
  follow?(onChange: () => void, signal: AbortSignal): void;
}

const maxManifestBytes = 1 << 20;
const maxManifestsBytes = 16 << 20;
const timeoutMs = 10_000;

/** Each file of a directory that is named like YAML or JSON. */
export function directorySource(directory: string, logger: Logger): ManifestSource {
  return {
    name: 'file',
    periodMs: 20_000,
    async read() {
      await fs.mkdir(directory, { recursive: true });
      const names = (await fs.readdir(directory)).filter(name => !name.startsWith('.') && /\.(ya?ml|json)$/.test(name));
      const found = names.sort().map(async name => {
        const origin = path.join(directory, name);
        const stats = await fs.stat(origin).catch(() => undefined);
        if (!stats) return [];
        if (stats.size <= maxManifestBytes) return [{ origin, text: await fs.readFile(origin, 'utf8') }];
        logger.warn({ file: origin, bytes: stats.size, limit: maxManifestBytes }, 'manifest is too large');
        return [];
      });
      return (await Promise.all(found)).flat();
    },
    follow(onChange, signal) {
      const watcher = watch(directory, { signal, persistent: false }, onChange);
      watcher.on('error', err => logger.warn({ err, directory }, 'manifest directory not watched'));
    },
  };
}

/** What an address answers with: a Pod, or a list of them. Source: pkg/kubelet/config/http.go. */
export function urlSource(url: string, headers: Readonly<Record<string, string[]>>, periodMs: number): ManifestSource {
  return {
    name: 'http',
    periodMs,
    async read() {
      const list = Object.entries(headers).flatMap(([name, values]) =>
        values.map(value => [name, value] as [string, string]),
      );
      const response = await fetch(url, { headers: list, signal: AbortSignal.timeout(timeoutMs) });
      const text = await response.text();
      if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
      if (text === '') throw new Error(`zero-length data received from ${url}`);
      if (text.length > maxManifestsBytes) throw new Error(`${url}: larger than ${maxManifestsBytes} bytes`);
      const document = parse(text, { maxAliasCount: 100 }) as { kind?: string; items?: unknown[] } | null;
      if (document?.kind !== 'PodList') return [{ origin: url, text }];
      return (document.items ?? []).map((item, index) => ({
        origin: `${url}#${index}`,
        // What is in a list bears neither kind nor version.
        text: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...(item as object) }),
      }));
    },
  };
}

/** The sources that a configuration names. */
export function manifestSources(configuration: KubeletConfiguration, logger: Logger): ManifestSource[] {
  const { staticPodPath, staticPodURL, staticPodURLHeader, httpCheckFrequency } = configuration;
  return [
    ...(staticPodPath ? [directorySource(staticPodPath, logger)] : []),
    ...(staticPodURL ? [urlSource(staticPodURL, staticPodURLHeader, parseDuration(httpCheckFrequency))] : []),
  ];
}
