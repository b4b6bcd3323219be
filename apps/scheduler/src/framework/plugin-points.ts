import type { Plugin } from './types';

export interface Named {
  readonly name: string;
  readonly weight: number;
  readonly plugin: Plugin;
}

/** A plugin that has the extension point. */
export type With<K extends keyof Plugin> = Named & { readonly plugin: Plugin & Required<Pick<Plugin, K>> };
