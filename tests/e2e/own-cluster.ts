import { accessTo, run, runtimeFlags, type ClusterAccess } from './cluster';

export interface OwnClusterOptions {
  name: string;
  portOffset: number;
  nodeCidr: string;
  /** More flags of `naru up`. */
  flags: string[];
}

/** Brings a cluster of the test's own up, beside the shared one, with the image of the example in it. */
export async function startCluster({ name, portOffset, nodeCidr, flags }: OwnClusterOptions): Promise<ClusterAccess> {
  const placement = ['--cluster', name, '--port-offset', `${portOffset}`, '--node-cidr', nodeCidr];
  const access = accessTo(name, placement);
  // What an interrupted run may have left.
  await access.naru(['down', '--purge'], { anyCode: true });
  await access.naru(['up', ...flags, ...runtimeFlags]);
  await run('examples/web/build-image', []);
  await access.naru(['image', 'load', 'examples/web/web.tar']);
  return access;
}

/** Removes what `startCluster` made; there may be nothing when that failed. */
export async function stopCluster(access: ClusterAccess | undefined): Promise<void> {
  await access?.naru(['down', '--purge']);
}
