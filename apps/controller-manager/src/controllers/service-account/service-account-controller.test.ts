import { configMaps, namespaces, serviceAccounts } from '@naru/api';
import { convergenceSuite } from '../../simulation';
import { rootCaController } from '../root-ca/root-ca-controller';
import { serviceAccountController } from './service-account-controller';

convergenceSuite(
  [serviceAccountController, rootCaController],
  {
    objects: api => void api.seed(namespaces, { metadata: { name: 'old' } }),
    steps: [
      client => client.create(namespaces, { metadata: { name: 'new' } }),
      client => client.delete(serviceAccounts, { namespace: 'old', name: 'default' }),
      client =>
        client.patch(
          configMaps,
          { namespace: 'old', name: 'kube-root-ca.crt' },
          { type: 'merge', body: { data: { more: 'x' } } },
        ),
    ],
    async expectEnd(api) {
      const accounts = (await api.list(serviceAccounts)).items;
      expect(accounts.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort()).toEqual([
        'new/default',
        'old/default',
      ]);
      const published = (await api.list(configMaps)).items;
      expect(published.map(({ data }) => data)).toEqual(Array(2).fill({ 'ca.crt': 'PEM' }));
    },
  },
  { rootCa: 'PEM' },
);
