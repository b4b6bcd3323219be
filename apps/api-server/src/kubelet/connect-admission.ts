import type { KubeObject, Scheme } from '@naru/api';
import type { Admission } from '../admission/plugin';
import { admitBody } from '../objects/admission-request';
import type { ResourceCall } from '../rest/resource-handler';

/** Webhooks and policies may forbid a connection: they see its options as an object. @throws StatusError */
export async function admitConnection(
  deps: { admission: Admission; scheme: Scheme },
  call: Pick<ResourceCall, 'path' | 'query' | 'user' | 'signal'>,
): Promise<void> {
  const { path, user, signal } = call;
  const { namespace, name, subresource } = path;
  const definition = deps.scheme.byResource(path.group, path.version, path.resource);
  if (!definition) return;
  const request = {
    user,
    verb: 'connect' as const,
    definition,
    namespace,
    name,
    subresource,
    dryRun: false,
    fieldManager: '',
    fieldValidation: undefined,
    warnings: [],
    signal,
  };
  await admitBody(deps, request, 'connect', { object: connectOptions(call) });
}

/** The query of a connection as the object that upstream makes of it. */
function connectOptions({ path, query }: Pick<ResourceCall, 'path' | 'query'>): KubeObject {
  const isSet = (name: string): boolean => query.get(name) === 'true' || query.get(name) === '1';
  const streams = {
    stdin: isSet('stdin'),
    stdout: isSet('stdout'),
    stderr: isSet('stderr'),
    tty: isSet('tty'),
    ...(query.get('container') ? { container: query.get('container') } : {}),
  };
  const options = (kind: string, fields: object): KubeObject => ({ kind, apiVersion: 'v1', ...fields });
  switch (`${path.resource}/${path.subresource}`) {
    case 'pods/exec':
      return options('PodExecOptions', { ...streams, command: query.getAll('command') });
    case 'pods/attach':
      return options('PodAttachOptions', streams);
    case 'pods/portforward':
      return options('PodPortForwardOptions', { ports: query.getAll('ports').map(Number) });
    case 'nodes/proxy':
      return options('NodeProxyOptions', { path: path.rest || '/' });
    case 'services/proxy':
      return options('ServiceProxyOptions', { path: path.rest || '/' });
    default:
      return options('PodProxyOptions', { path: path.rest || '/' });
  }
}
