export type * from './types';
export type { Wire } from './wire';
export * from './resource';
