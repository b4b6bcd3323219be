import { UsageError } from '@naru/foundation';

/** CRI runtimes that a node can be given: our own, or the machine's containerd with everything of the node's own. */
export type ContainerRuntime = 'naru' | 'containerd';

/** The name of a runtime as a flag gives it; none: ours. Throws UsageError. */
export function checkContainerRuntime(text: string | undefined): ContainerRuntime {
  if (text === undefined || text === 'naru' || text === 'containerd') return text ?? 'naru';
  throw new UsageError(
    `flag --container-runtime: "${text}" is neither naru nor containerd; for others see --container-runtime-endpoint of naru agent`,
  );
}
