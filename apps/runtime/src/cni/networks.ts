import { StatusError, type Logger } from '@naru/foundation';
import type { Attachment, Cni } from './cni';
import type { NetworkConfig, NetworkConfigDirectory } from './cni-config';

/** The network of new pods: the configuration of the directory, in the version that its plugins speak. */
export class Networks {
  #asking: Promise<string | undefined> | undefined;

  constructor(private readonly deps: { directory: NetworkConfigDirectory; cni: Cni; logger: Logger }) {}

  /** Throws ServiceUnavailable with the reason why there is none. */
  async current(): Promise<NetworkConfig> {
    const found = this.deps.directory.current();
    if ('problem' in found) throw new StatusError('ServiceUnavailable', found.problem);
    return this.deps.cni.negotiate(found.config);
  }

  /** Why no pod can be attached now; undefined when it can. Who asks while somebody else does gets the same answer. */
  problem(): Promise<string | undefined> {
    this.#asking ??= this.current()
      .then(config => this.deps.cni.status(config))
      .then(
        () => undefined,
        (error: unknown) => (error as Error).message,
      )
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** Lets plugins give back what they hold for others than these. Without a configuration nobody can be asked. */
  async collect(valid: readonly Attachment[]): Promise<void> {
    try {
      if ('config' in this.deps.directory.current()) await this.deps.cni.collect(await this.current(), valid);
    } catch (err) {
      this.deps.logger.warn({ err }, 'network plugins could not collect what nobody uses');
    }
  }
}
