import { Cluster, type ClusterSettings } from '../cluster';
import { missingIpv6Switches } from '../network/ipv6-forwarding';
import { closeOutside, natTables, openOutside } from '../network/outside';

/** Says on standard output, as JSON, what is missing and which tables there are. */
const [order, settings = '{}', uplink = ''] = process.argv.slice(2);
const cluster = new Cluster(JSON.parse(settings) as ClusterSettings);

async function obey(): Promise<void> {
  if (order === 'open') await openOutside(cluster, { ipv4: [uplink] });
  else await closeOutside(cluster);
  process.stdout.write(JSON.stringify({ missing: missingIpv6Switches([uplink]), tables: await natTables(cluster) }));
}

void obey();
