import type { Pod } from '@naru/api';

type PodSpec = NonNullable<Pod['spec']>;

/** The spec of a pod of the example's image that does nothing, or runs a shell's command, and ends at once when told to. */
export function idleSpec(
  more: Partial<PodSpec> = {},
  container: Partial<PodSpec['containers'][0]> = {},
  command = 'exec sleep 100000',
): PodSpec {
  return {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'main',
        image: 'naru.dev/web:v1',
        imagePullPolicy: 'Never',
        command: ['sh', '-c', command],
        ...container,
      },
    ],
    ...more,
  };
}

export function idlePod(
  name: string,
  more: Partial<PodSpec> = {},
  container: Partial<PodSpec['containers'][0]> = {},
): Pod {
  return { metadata: { name }, spec: idleSpec(more, container) };
}

export const running = ({ status }: Pod): void => expect(status?.phase).toBe('Running');
