import pino from 'pino';
import { ipFamilies, type IpFamily } from '../desired/ip-family';
import type { PortChange, ServicePort } from '../desired/service-port';
import type { RuleConfig } from '../modes/mode';
import { userspace } from '../modes/userspace';
import { Shells } from '../shells';

/** What userspace-process.ts asks for, one at a time: the answer to each is a message, with `error` when it failed. */
export type Order =
  | { do: 'all'; family: IpFamily; ports: readonly ServicePort[] }
  | { do: 'changes'; family: IpFamily; changes: readonly PortChange[] }
  | { do: 'cleanup'; family: IpFamily };

const config = JSON.parse(process.argv[2] ?? '{}') as Partial<RuleConfig>;
const logger = pino({ level: 'error' });
const { run } = new Shells();
const rules = new Map(
  ipFamilies.map(family => {
    const own = { clusterCidr: undefined, ...config, family };
    return [family, userspace.build({ run, config: own, logger })];
  }),
);

async function obey(order: Order): Promise<void> {
  const ruleSync = rules.get(order.family);
  if (order.do === 'all') await ruleSync?.sync({ full: true, ports: () => order.ports });
  else if (order.do === 'changes') await ruleSync?.sync({ full: false, changes: order.changes });
  else await ruleSync?.cleanup();
}

process.on('message', (order: Order) => {
  obey(order).then(
    () => process.send?.({}),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
