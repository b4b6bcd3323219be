import type { Container, Pod } from '@naru/api';

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

/** An init container with `restartPolicy: Always` is a sidecar: it runs beside the main containers. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/**
 * Whether a container that ended with `exitCode` is started again: by its own rules, its own policy, the pod's policy.
 * An init container under Always is restarted on failure only.
 */
export function restartsAfter(pod: Pod, container: Container, exitCode: number, init: boolean): boolean {
  for (const rule of container.restartPolicyRules ?? []) {
    const values = rule.exitCodes?.values ?? [];
    const matches = rule.exitCodes?.operator === 'NotIn' ? !values.includes(exitCode) : values.includes(exitCode);
    if (rule.exitCodes && matches) return rule.action.startsWith('Restart');
  }
  const policy = (container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always') as RestartPolicy;
  if (policy === 'Never') return false;
  if (policy === 'OnFailure') return exitCode !== 0;
  return init ? exitCode !== 0 || isSidecar(container) : true;
}
