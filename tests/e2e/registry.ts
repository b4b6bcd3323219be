import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { eventually } from '@naru/testing';
import { clusterName, run } from './cluster';

/** A registry that there is only by its mirror. */
const mirrored = 'registry.e2e';
type Registries = { registries: Record<string, { mirrors: [string] }> };

/** Writes to `file`, for the nodes, how to reach the registry that `startRegistry` starts on their machine, whose address is `machine`. */
export function writeRegistryConfig(file: string, machine: string): void {
  // Not 5000, where Debian's package has a registry of the machine's own started.
  const address = `${machine}:5094`;
  const registries = { [mirrored]: { mirrors: [`http://${address}`] }, [address]: { plainHttp: true } };
  writeFileSync(file, JSON.stringify({ registries }));
}

/** A real registry without TLS where the nodes of the shared cluster were told that there is one, with one image, which sleeps. */
export interface Registry {
  /** By which names pods can have the image: from the registry itself, and from the one that it is a mirror of. */
  images: [direct: string, mirrored: string];
  stop(): Promise<void>;
}

export async function startRegistry(): Promise<Registry> {
  // The cluster may be another one than that which cluster-up.ts brings up, and then has other addresses.
  const told = JSON.parse(readFileSync(`/var/lib/naru/${clusterName}/registries.json`, 'utf8')) as Registries;
  const url = told.registries[mirrored]?.mirrors[0] ?? '';
  const address = new URL(url).host;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'naru-registry-'));
  const config = path.join(folder, 'config.yml');
  writeFileSync(
    config,
    `version: 0.1\nlog: { level: error }\nstorage: { filesystem: { rootdirectory: ${folder}/data } }\nhttp: { addr: ${address} }\n`,
  );
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  const ended = new Promise(resolve => server.once('exit', resolve));
  const stop = async (): Promise<void> => {
    server.kill();
    await ended;
    rmSync(folder, { recursive: true });
  };
  try {
    const archive = path.join(folder, 'image.tar');
    await packSleeper(path.join(folder, 'rootfs'), archive);
    await eventually(async () => void (await fetch(`${url}/v2/`)));
    const flags = ['--insecure-policy', 'copy', '-q', '--dest-tls-verify=false'];
    await run('skopeo', [...flags, `docker-archive:${archive}`, `docker://${address}/team/sleeper:v1`]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { images: [`${address}/team/sleeper:v1`, `${mirrored}/team/sleeper:v1`], stop };
}

/** An image that nodes have by no other name: one that was loaded, too, would belong to who may pull it. */
async function packSleeper(rootfs: string, archive: string): Promise<void> {
  mkdirSync(rootfs);
  copyFileSync('/bin/busybox', path.join(rootfs, 'sleep'));
  await run('apps/naru/bin/pack-image', ['sleeper:v1', rootfs, '"Entrypoint":["/sleep","1000000"]', archive]);
}
