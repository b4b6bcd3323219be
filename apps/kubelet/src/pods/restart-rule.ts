import type { Container, Pod } from '@naru/api';

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

/** An init container with `restartPolicy: Always` is a sidecar: it runs beside the main containers. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

type RestartRule = NonNullable<Container['restartPolicyRules']>[number];

/** The first of a container's own rules that speaks of this exit. */
export function matchingRule({ restartPolicyRules = [] }: Container, exitCode: number): RestartRule | undefined {
  return restartPolicyRules.find(({ exitCodes }) => {
    if (!exitCodes) return false;
    const isListed = (exitCodes.values ?? []).includes(exitCode);
    return exitCodes.operator === 'NotIn' ? !isListed : isListed;
  });
}

/**
 * Whether a container that ended with `exitCode` is started again: by its own rules, its own policy, the pod's policy.
 * An init container under Always is restarted on failure only.
 */
export function restartsAfter(pod: Pod, container: Container, exitCode: number, init: boolean): boolean {
  const rule = matchingRule(container, exitCode);
  if (rule) return rule.action.startsWith('Restart');
  const policy = (container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always') as RestartPolicy;
  if (policy === 'Never') return false;
  if (policy === 'OnFailure') return exitCode !== 0;
  return init ? exitCode !== 0 || isSidecar(container) : true;
}
