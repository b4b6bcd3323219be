import { isOutOfTime, runWithin } from '../watchdog';
import { estimateSteps, largestCollection, objectBudget, watchdogThreshold } from './cost';
import type { Program } from './program';

/** All expressions about one object together. */
const maxMs = 500;

/** What the expressions about one object may still cost. */
export interface Budget {
  /** Below zero: used up. */
  steps: number;
  /** Of the data: the size of its largest collection. */
  largest: number;
  untilMs: number;
}

/** Thrown when the budget is used up: what follows cannot run either. */
export class OutOfBudget extends Error {}

export function budgetFor(...values: unknown[]): Budget {
  let largest = 0;
  for (const value of values) largest += largestCollection(value);
  return { steps: objectBudget, largest, untilMs: Date.now() + maxMs };
}

/** @throws OutOfBudget; and whatever the expression fails with */
export function runWithinBudget(
  { evaluate, cost }: Pick<Program, 'evaluate' | 'cost'>,
  context: object,
  budget: Budget,
) {
  const leftMs = budget.untilMs - Date.now();
  if (leftMs <= 0) throw exhausted(budget);
  if (estimateSteps(cost, budget.largest) < watchdogThreshold) {
    budget.steps -= cost.nodes;
    if (budget.steps < 0) throw exhausted(budget);
    return evaluate(context);
  }
  try {
    return runWithin(leftMs, () => evaluate(context));
  } catch (cause) {
    if (isOutOfTime(cause)) throw exhausted(budget, cause);
    throw cause;
  }
}

function exhausted(budget: Budget, cause?: unknown): OutOfBudget {
  budget.steps = -1;
  return new OutOfBudget(
    'validation failed due to running out of cost budget, no further validation rules will be run',
    { cause },
  );
}
