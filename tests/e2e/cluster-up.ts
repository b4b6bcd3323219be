import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { clusterExists, kubeconfig, machineAddress, naru, run, runtimeFlags } from './cluster';
import { writeRegistryConfig } from './registry';

/** Brings the shared cluster up with three workers and loads the images of the tests: the example's and the conformance tests'. */
export default async function up(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('the end-to-end tests need root: nodes are network namespaces');
  if (process.env['NARU_E2E_REUSE'] && clusterExists()) {
    const { code } = await run('kubectl', ['get', 'nodes'], { anyCode: true, env: { KUBECONFIG: kubeconfig } });
    if (code === 0) return;
  }
  // What an interrupted run may have left.
  await naru(['down', '--purge'], { anyCode: true });
  const folder = mkdtempSync(path.join(os.tmpdir(), 'naru-e2e-'));
  const registries = path.join(folder, 'registries.json');
  writeRegistryConfig(registries, machineAddress);
  await naru(['up', '--workers', '3', '--ip-family', 'dual', '--registry-config', registries, ...runtimeFlags]);
  rmSync(folder, { recursive: true });
  const images = { web: 'examples/web', conformance: 'tests/e2e/conformance/image' };
  for (const folder of Object.values(images)) await run(`${folder}/build-image`, []);
  await naru(['image', 'load', ...Object.entries(images).map(([name, folder]) => `${folder}/${name}.tar`)]);
}
