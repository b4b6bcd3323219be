import { kubectl } from './cluster';

const manifest = 'examples/web/web.yaml';

/** The example: three pods labelled `app: web` of the Deployment `web`, and its Service. Resolves when they are ready. */
export async function applyExample(): Promise<void> {
  await kubectl(['apply', '-f', manifest]);
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=120s']);
}

/** Resolves when its pods are gone too: whoever applies it next would take them for its own. */
export async function deleteExample(): Promise<void> {
  await kubectl(['delete', '-f', manifest, '--ignore-not-found', '--cascade=foreground']);
}
