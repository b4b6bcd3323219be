import fs from 'node:fs/promises';
import path from 'node:path';

/** What has to be known of a mounted volume when neither its pod nor its objects are there to ask; upstream's names. */
export interface VolumeData {
  driverName: string;
  volumeHandle: string;
  specVolID: string;
  volumeLifecycleMode: 'Persistent' | 'Ephemeral';
  /** A controller attached it to this node. */
  attached: boolean;
  /** Where the driver was asked to put it, and to stage it; '' for a driver that does not stage. */
  targetPath: string;
  stagingPath: string;
}

const fileName = 'vol_data.json';

export async function writeVolumeData(directory: string, data: VolumeData): Promise<void> {
  await fs.mkdir(directory, { recursive: true, mode: 0o750 });
  const file = path.join(directory, fileName);
  await fs.writeFile(`${file}.new`, JSON.stringify(data), { mode: 0o600 });
  await fs.rename(`${file}.new`, file);
}

/** Undefined when nothing has been written: then the driver has not been asked for anything yet. */
export async function readVolumeData(directory: string): Promise<VolumeData | undefined> {
  try {
    return JSON.parse(await fs.readFile(path.join(directory, fileName), 'utf8')) as VolumeData;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Nothing of the volume is left for the driver to undo. */
export async function removeVolumeData(directory: string): Promise<void> {
  await fs.rm(path.join(directory, fileName), { force: true });
}

/** The CSI volumes of all pods on this node, by their directories. */
export async function listVolumeData(podsDirectory: string): Promise<Map<string, VolumeData>> {
  const found = new Map<string, VolumeData>();
  for (const uid of await fs.readdir(podsDirectory).catch(() => [])) {
    const volumes = path.join(podsDirectory, uid, 'volumes', 'kubernetes.io~csi');
    for (const name of await fs.readdir(volumes).catch(() => [])) {
      const directory = path.join(volumes, name);
      const data = await readVolumeData(directory);
      if (data) found.set(directory, data);
    }
  }
  return found;
}
