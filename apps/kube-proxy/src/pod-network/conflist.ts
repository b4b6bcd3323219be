import fs from 'node:fs/promises';
import path from 'node:path';
import { familyOf } from '@naru/foundation';

/** The name sorts before most: runtimes take the first list of the folder. */
export const conflistName = '10-naru.conflist';

/** For our own runtime (docs/guides/cni.md): without a pod's arguments for it, the plugin would do nothing, which takes two processes a pod. */
const onlyWithArguments = { 'naru.dev/only-with-arguments': true };

export interface ConflistOptions {
  /** One, or one of each family: pods have an address of each. */
  podCidrs: readonly string[];
  mtu: number;
  /** Where host-local keeps which addresses are taken; must not outlive the node's pods. */
  ipamDir: string;
}

/**
 * The CNI network of this node's pods. `ptp` gives each pod a link of its own to the node and no bridge: Services work for
 * all cases without a bridge's sysctls. Masquerade is not its business: it would hide pods from each other.
 */
export function renderConflist({ podCidrs, mtu, ipamDir }: ConflistOptions): string {
  const list = {
    cniVersion: '1.0.0',
    name: 'naru',
    plugins: [
      {
        type: 'ptp',
        mtu,
        ipMasq: false,
        ipam: {
          type: 'host-local',
          ranges: podCidrs.map(subnet => [{ subnet }]),
          routes: podCidrs.map(podCidr => ({ dst: familyOf(podCidr) === 6 ? '::/0' : '0.0.0.0/0' })),
          dataDir: ipamDir,
        },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true, ...onlyWithArguments },
      // For the annotations kubernetes.io/ingress-bandwidth and egress-bandwidth; without them it does nothing.
      { type: 'bandwidth', capabilities: { bandwidth: true }, ...onlyWithArguments },
    ],
  };
  return `${JSON.stringify(list, null, 2)}\n`;
}

/**
 * Writes the configuration whole or not at all, and not at all when it is there already. There is none for the
 * loopback interface, which runtimes raise themselves: alone in the folder it would pass for the pods' network.
 */
export async function writeConflist(confDir: string, options: ConflistOptions): Promise<void> {
  await fs.mkdir(confDir, { recursive: true });
  await fs.mkdir(options.ipamDir, { recursive: true });
  await replaceFile(path.join(confDir, conflistName), renderConflist(options));
}

export async function removeConflist(confDir: string): Promise<void> {
  await fs.rm(path.join(confDir, conflistName), { force: true });
}

async function replaceFile(file: string, text: string): Promise<void> {
  const present = await fs.readFile(file, 'utf8').catch(() => undefined);
  if (present === text) return;
  // Hidden and without a known ending, so that no runtime takes it for a configuration.
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  await fs.writeFile(temporary, text);
  await fs.rename(temporary, file);
}
