import { pods, type Binding } from '@naru/api';
import type { PluginFactory } from '../framework/types';

/** Binds through the pod's `binding` subresource. */
export const defaultBinder: PluginFactory = {
  name: 'DefaultBinder',
  requeueOn: [],
  build: ({ client }) => ({
    async bind(_state, { pod }, nodeName) {
      const { namespace, name, uid } = pod.metadata;
      await client.createSubresource<Binding, unknown>(pods, { namespace, name }, 'binding', {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { namespace, name, uid },
        target: { kind: 'Node', name: nodeName },
      });
      return true;
    },
  }),
};
