import { runtimeProcess } from './cluster';

/** A test of what containerd lacks or does otherwise, as docs/guides/container-runtimes.md has it: skipped when the nodes run that. */
export const testUnlessOnContainerd = runtimeProcess === 'containerd' ? test.skip : test;
