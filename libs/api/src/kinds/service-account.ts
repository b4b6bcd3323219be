import { serviceAccounts } from '../resource';
import { integer } from '../table/columns';
import { defineKind } from './define-kind';

export const serviceAccountKind = defineKind(serviceAccounts, {
  shortNames: ['sa'],
  subresources: { special: ['token'] },
  columns: [integer('Secrets', 'The number of secrets.', o => o.secrets?.length ?? 0)],
});
