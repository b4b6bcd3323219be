import fs from 'node:fs';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { readCdiFile, type CdiFile, type ContainerEdits } from './cdi-file';

interface Found {
  file: CdiFile;
  edits: ContainerEdits;
}

/** Devices as drivers describe them in files: what is found in a later folder wins, and what two files of one folder name is nothing. */
export class CdiRegistry {
  constructor(
    private readonly directories: readonly string[],
    private readonly warn: (file: string, err: unknown) => void,
  ) {}

  /** What the named devices, each VENDOR/CLASS=NAME, need of a container. @throws BadRequest for names that no file describes */
  async editsFor(names: readonly string[]): Promise<ContainerEdits[]> {
    if (names.length === 0) return [];
    const edits: ContainerEdits[] = [];
    const missing: string[] = [];
    const used = new Set<CdiFile>();
    const known = await this.devices();
    for (const name of new Set(names)) {
      const found = known.get(name);
      if (!found) missing.push(name);
      else {
        if (!used.has(found.file)) edits.push(found.file.containerEdits ?? {});
        used.add(found.file);
        edits.push(found.edits);
      }
    }
    if (missing.length > 0)
      throw new StatusError(
        'BadRequest',
        `CDI device injection failed: unresolvable CDI devices ${missing.join(', ')}`,
      );
    return edits;
  }

  private async devices(): Promise<ReadonlyMap<string, Found>> {
    const all = new Map<string, Found>();
    for (const directory of this.directories)
      for (const [name, found] of await this.read(directory)) {
        if (found) all.set(name, found);
        else all.delete(name);
      }
    return all;
  }

  /** The devices of one folder; undefined for a name that is there twice. */
  private async read(directory: string): Promise<Map<string, Found | undefined>> {
    const devices = new Map<string, Found | undefined>();
    for (const entry of fs.existsSync(directory) ? fs.readdirSync(directory).sort() : []) {
      if (!/\.(json|yaml)$/.test(entry)) continue;
      const place = path.join(directory, entry);
      try {
        const file = await readCdiFile(place);
        for (const { name, containerEdits } of file.devices) {
          const qualified = `${file.kind}=${name}`;
          if (devices.has(qualified)) this.warn(place, new Error(`conflicting device "${qualified}"`));
          devices.set(qualified, devices.has(qualified) ? undefined : { file, edits: containerEdits });
        }
      } catch (err) {
        this.warn(place, err);
      }
    }
    return devices;
  }
}
