import type { VirtualKind } from '../objects/virtual-kind';
import { bindingCollection } from '../subresources/binding';
import { componentStatusReader } from './component-statuses';

/** Every kind that is answered, not stored. Reviews have routes of their own: see rest/review-routes. */
export const virtualKinds: readonly VirtualKind[] = [bindingCollection, componentStatusReader];
