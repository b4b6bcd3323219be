import { configMaps, namespaces, pods } from '@naru/api';
import { makePod } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { namespaceController } from './namespace-controller';

convergenceSuite([namespaceController], {
  objects(api) {
    // In memory nothing but metadata.finalizers keeps an object: another finalizer stands for the api-server's rule.
    api.seed(namespaces, {
      metadata: { name: 'gone', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['test/hold'] },
      spec: { finalizers: ['kubernetes'] },
    });
    for (const name of ['a', 'b']) {
      api.seed(configMaps, { metadata: { namespace: 'gone', name } });
      api.seed(configMaps, { metadata: { namespace: 'stays', name } });
      api.seed(pods, makePod(name, { namespace: 'gone', nodeName: 'n' }));
    }
  },
  others: [simulatedKubelet()],
  async expectEnd(api) {
    const left = (await api.list(configMaps)).items.map(({ metadata }) => metadata.namespace);
    expect(left).toEqual(['stays', 'stays']);
    expect((await api.list(pods)).items).toEqual([]);
    expect((await api.get(namespaces, { name: 'gone' })).spec?.finalizers).toEqual([]);
  },
});
