import { isDeepStrictEqual } from 'node:util';
import {
  compileDeviceSelector,
  deviceClasses,
  invalid,
  invalidObject,
  loadDeviceCel,
  resourceClaims,
  resourceClaimTemplates,
  type DeviceClass,
  type FieldError,
  type KubeObject,
  type ResourceClaim,
  type ResourceClaimTemplate,
} from '@naru/api';
import { isResource } from './is-resource';
import type { AdmissionPlugin, AdmissionRequest } from './plugin';

type Selectors = NonNullable<DeviceClass['spec']>['selectors'];

/** Where the object says which devices it means: its own field, or those of its requests. */
function selectorsOf(request: AdmissionRequest, object: KubeObject): [path: string, selectors: Selectors][] {
  if (isResource(request, deviceClasses)) return [['spec.selectors', (object as DeviceClass).spec?.selectors]];
  const [at, spec] = isResource(request, resourceClaims)
    ? ['spec', (object as ResourceClaim).spec]
    : ['spec.spec', (object as ResourceClaimTemplate).spec?.spec];
  return (spec?.devices?.requests ?? []).flatMap(({ exactly, firstAvailable = [] }, index) => {
    const path = `${at}.devices.requests[${index}]`;
    return [
      [`${path}.exactly.selectors`, exactly?.selectors] satisfies [string, Selectors],
      ...firstAvailable.map(({ selectors }, i): [string, Selectors] => [
        `${path}.firstAvailable[${i}].selectors`,
        selectors,
      ]),
    ];
  });
}

/**
 * Refuses devices by an expression that does not compile when it is written, not when a pod waits for them. What stood there
 * before stays writable. Source: upstream's validateCELSelector.
 */
export const deviceExpressions: AdmissionPlugin = {
  name: 'DeviceExpressions',
  handles: request =>
    request.object !== undefined &&
    [deviceClasses, resourceClaims, resourceClaimTemplates].some(type => isResource(request, type)),
  async validate(request) {
    const { definition, name, object, old } = request;
    if (!object) return;
    const selectors = selectorsOf(request, object);
    if (selectors.every(([, all]) => !all?.length)) return;
    if (old && isDeepStrictEqual(selectors, selectorsOf(request, old))) return;
    await loadDeviceCel();
    const errors = selectors.flatMap(([path, all = []]) =>
      all.flatMap(({ cel }, i) => problemOf(`${path}[${i}]`, cel)),
    );
    if (errors.length > 0) throw invalidObject(definition.type, name, errors);
  },
};

function problemOf(path: string, cel: NonNullable<Selectors>[number]['cel']): FieldError[] {
  // That there is none, or too much of it, is said by the validation of the kind.
  if (!cel?.expression) return [];
  try {
    compileDeviceSelector(cel.expression);
    return [];
  } catch (error) {
    return [invalid(`${path}.cel.expression`, cel.expression, (error as Error).message)];
  }
}
