export * from './objects-client';
export * from './feed';
export type * from './informer-types';
export type * from './workqueue-types';
