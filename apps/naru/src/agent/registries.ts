import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '@naru/foundation';

/** How to reach registries, by their names: the file of our runtime's `--registry-config`. */
export interface Registries {
  registries?: Record<string, { mirrors?: string[]; plainHttp?: boolean }>;
}

/** Throws UsageError when the file holds nothing of that kind. */
export function readRegistries(file: string): Registries {
  try {
    const content = JSON.parse(readFileSync(file, 'utf8')) as Registries;
    for (const { mirrors = [] } of Object.values(content.registries ?? {})) mirrors.forEach(url => new URL(url));
    return content;
  } catch (cause) {
    throw new UsageError(`flag --registry-config: ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** Says the same to containerd: a folder for each registry below `folder`, with a hosts.toml. */
export function writeContainerdHosts(folder: string, { registries = {} }: Registries): void {
  for (const [name, { mirrors = [], plainHttp = false }] of Object.entries(registries)) {
    const host = name === 'docker.io' ? 'registry-1.docker.io' : name;
    const own = `${plainHttp ? 'http' : 'https'}://${host}`;
    // The server alone would be asked by TLS all the same.
    const asked = plainHttp ? [...mirrors, own] : mirrors;
    const hosts = asked.map(url => `[host."${url}"]\n  capabilities = ["pull", "resolve"]\n`);
    mkdirSync(path.join(folder, name), { recursive: true });
    writeFileSync(path.join(folder, name, 'hosts.toml'), [`server = "${own}"\n`, ...hosts].join('\n'));
  }
}
