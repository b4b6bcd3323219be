import type { Service } from '@naru/api';
import type { Informer } from '@naru/client';
import type { Clock } from '@naru/foundation';

/** A container's environment names the services of its namespace, so they have to be known first. */
export async function knownServices(informer: Informer<Service>, clock: Clock): Promise<readonly Service[]> {
  const limitMs = 30_000;
  for (let waited = 0; !informer.hasSynced; waited += 10) {
    if (waited >= limitMs) throw new Error('services have not yet been read at least once, cannot construct envvars');
    await clock.sleep(10);
  }
  return informer.lister.list();
}
