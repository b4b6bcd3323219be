import { status, type ServiceError } from '@grpc/grpc-js';
import type { Clock, Logger } from '@naru/foundation';
import type { drahealth } from '@naru/proto';

export interface HealthWatchDeps {
  driver: string;
  client: drahealth.DRAResourceHealthClient;
  clock: Clock;
  logger: Logger;
  onReport: (devices: readonly drahealth.DeviceHealth[]) => void;
  /** Nothing more is heard, until a report comes again. */
  onLost: () => void;
}

const retryMs = 5_000;

/** Hears from a driver whether its devices work, as long as it is registered; from one that does not tell, nothing. */
export class HealthWatch {
  private cancel: () => void = () => undefined;
  private closed = false;

  constructor(private readonly deps: HealthWatchDeps) {
    this.open();
  }

  close(): void {
    this.closed = true;
    this.cancel();
  }

  private open(): void {
    const stream = this.deps.client.nodeWatchResources({});
    let hasEnded = false;
    const end = (err?: ServiceError): void => {
      if (hasEnded) return;
      hasEnded = true;
      this.lost(err);
    };
    stream.on('data', ({ devices }: drahealth.NodeWatchResourcesResponse) => this.deps.onReport(devices));
    stream.on('error', end);
    stream.on('end', () => end());
    this.cancel = () => stream.cancel();
  }

  private lost(err: ServiceError | undefined): void {
    // By then another watch may hear from the driver.
    if (this.closed) return;
    this.deps.onLost();
    if (err?.code === status.UNIMPLEMENTED) return;
    const { clock, logger, driver } = this.deps;
    logger.debug({ err, driver }, 'a driver tells nothing of its devices any more');
    this.cancel = clock.after(retryMs, () => this.open());
  }
}
