import type { AdmissionCel, Program } from '@naru/api';

export interface MatchCondition {
  name: string;
  expression: string;
}

export interface MatchConditionScope {
  params: boolean;
}

/** Conditions of a webhook or policy, compiled at their first use. */
export class MatchConditions {
  private programs: (Program | Error)[] | undefined;

  constructor(
    private readonly conditions: readonly MatchCondition[],
    private readonly scope: MatchConditionScope,
  ) {}

  get empty(): boolean {
    return this.conditions.length === 0;
  }

  /**
   * False when one of them is false. Otherwise true, or the error of one that could not be evaluated: what it means
   * depends on the failure policy.
   */
  evaluate(cel: AdmissionCel, context: object, budget: ReturnType<AdmissionCel['budgetFor']>): boolean | Error {
    this.programs ??= this.conditions.map(({ expression }) => compileCondition(cel, expression, this.scope));
    let failure: Error | undefined;
    for (const [index, program] of this.programs.entries()) {
      try {
        if (program instanceof Error) throw program;
        if (cel.runWithinBudget(program, context, budget) === false) return false;
      } catch (error) {
        failure ??= new Error(
          `expression '${this.conditions[index]!.expression}' resulted in error: ${messageOf(error)}`,
        );
      }
    }
    return failure ?? true;
  }
}

function compileCondition(cel: AdmissionCel, expression: string, { params }: MatchConditionScope): Program | Error {
  try {
    return cel.compileAdmission(
      expression,
      { params, variables: [] },
      { types: ['bool'], problem: 'must evaluate to bool' },
    );
  } catch (error) {
    return error as Error;
  }
}

/** cel-js adds an excerpt of the source to its messages, which ours name already. */
export function messageOf(error: unknown): string {
  const { summary, message } = error as { summary?: string; message: string };
  return (summary ?? message.split('\n', 1)[0]!).replace(/^No such key/, 'no such key');
}
