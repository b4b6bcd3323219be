import type { VirtualKind } from '../objects/virtual-kind';
import { bindingCollection } from '../subresources/binding';
import { componentStatusReader } from './component-statuses';

/** Every kind that is answered, not stored. Reviews are made of the authorizer: see reviews.ts. */
export const virtualKinds: readonly VirtualKind[] = [bindingCollection, componentStatusReader];
