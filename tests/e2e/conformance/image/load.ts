import { naru, run } from '../../cluster';

/** Builds the image that the pods of the conformance tests run, and gives it to the cluster. */
export async function loadConformanceImage(): Promise<void> {
  const folder = 'tests/e2e/conformance/image';
  await run(`${folder}/build-image`, []);
  await naru(['image', 'load', `${folder}/conformance.tar`]);
}
