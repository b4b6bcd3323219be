import type { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '@naru/api';
import { decodeBytes } from '../../storage/codec';
import type { WatchCache } from '../../storage/watch-cache';
import type { WebhookClientConfig } from '../../webhooks/webhook-client';
import { matchCriteria, type MatchCriteria } from '../matching/criteria';
import { MatchConditions } from '../matching/match-conditions';

type Configured = NonNullable<MutatingWebhookConfiguration['webhooks']>[number] &
  NonNullable<ValidatingWebhookConfiguration['webhooks']>[number];

/** One webhook of a configuration, ready to be asked. */
export interface Webhook {
  /** Unlike its name, unique: configuration, place in it and name. */
  uid: string;
  name: string;
  clientConfig: WebhookClientConfig;
  criteria: MatchCriteria;
  matchConditions: MatchConditions;
  failsClosed: boolean;
  timeoutMs: number;
  reviewVersions: readonly string[];
  reinvocable: boolean;
}

const defaultTimeoutSeconds = 10;

/** All webhooks of one kind of configuration, in the order in which they are asked. */
export class Webhooks {
  private generation = -1;
  private compiled: readonly Webhook[] = [];

  constructor(private readonly cache: WatchCache) {}

  get all(): readonly Webhook[] {
    const { cache } = this;
    if (cache.generation !== this.generation) {
      this.compiled = cache
        .select({ namespace: '' })
        .flatMap(({ bytes, name }) =>
          (decodeBytes<ValidatingWebhookConfiguration>(bytes).webhooks ?? []).map((webhook, index) =>
            compile(webhook, `${name}/${index}/${webhook.name}`),
          ),
        );
      this.generation = cache.generation;
    }
    return this.compiled;
  }
}

function compile(webhook: Configured, uid: string): Webhook {
  const { name, failurePolicy, timeoutSeconds, reinvocationPolicy } = webhook;
  return {
    uid,
    name,
    clientConfig: webhook.clientConfig,
    // Without rules it is about nothing.
    criteria: { ...matchCriteria(webhook), rules: webhook.rules ?? [] },
    matchConditions: new MatchConditions(webhook.matchConditions ?? [], { params: false }),
    failsClosed: failurePolicy !== 'Ignore',
    timeoutMs: (timeoutSeconds ?? defaultTimeoutSeconds) * 1000,
    reviewVersions: webhook.admissionReviewVersions ?? ['v1'],
    reinvocable: reinvocationPolicy === 'IfNeeded',
  };
}
