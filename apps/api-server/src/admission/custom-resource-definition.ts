import { customResourceDefinitions, loadRules } from '@naru/api';
import { forbidden } from '../objects/failures';
import type { AdmissionPlugin } from './plugin';

/** Each has a cache, and costs every reader of discovery and OpenAPI. */
const maxDefinitions = 2000;

/** Before a CustomResourceDefinition is validated: what its rules are checked by, and whether there is room. */
export const definitionAdmission: AdmissionPlugin = {
  name: 'CustomResourceDefinition',
  handles: ({ definition, operation }) =>
    definition.type.resource === customResourceDefinitions.resource &&
    definition.type.group === customResourceDefinitions.group &&
    (operation === 'create' || operation === 'update'),
  async admit({ object, operation, definition, name }, { storage }) {
    if (operation === 'create' && storage.cache(definition).size >= maxDefinitions)
      throw forbidden(customResourceDefinitions, name, `there are ${maxDefinitions} definitions already`);
    if (JSON.stringify(object).includes('"x-kubernetes-validations"')) await loadRules();
  },
};
