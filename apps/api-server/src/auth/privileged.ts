import type { AuthorizationRule } from './authorizer';

/** Those who may do everything, whatever the stored roles say: the way back in when the roles are broken. */
export const privileged: AuthorizationRule = {
  name: 'system:masters',
  allows: ({ user }) => (user.groups.includes('system:masters') ? true : undefined),
};

const publicPaths = new Set(['/healthz', '/livez', '/readyz']);

/** Health must answer before the roles exist. */
export const publicHealth: AuthorizationRule = {
  name: 'AlwaysAllowPaths',
  allows: ({ path, verb }) => (path !== undefined && verb === 'get' && publicPaths.has(path) ? true : undefined),
};
