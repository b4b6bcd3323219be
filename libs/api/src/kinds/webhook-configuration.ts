import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from '../resource';
import { integer } from '../table/columns';
import type { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '../types';
import { defineKind } from './define-kind';

type AnyConfiguration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration;

const shared = {
  categories: ['api-extensions'],
  hasGeneration: true,
  columns: [integer<AnyConfiguration>('Webhooks', 'How many webhooks it names.', o => o.webhooks?.length ?? 0)],
};

export const mutatingWebhookConfigurationKind = defineKind(mutatingWebhookConfigurations, shared);
export const validatingWebhookConfigurationKind = defineKind(validatingWebhookConfigurations, shared);
