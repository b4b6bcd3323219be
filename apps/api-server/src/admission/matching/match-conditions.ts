import type { AdmissionCel, Program } from '@naru/api';

export interface MatchCondition {
  name: string;
  expression: string;
}

/** Conditions of a webhook or policy, compiled at their first use. */
export class MatchConditions {
  private programs: (Program | Error)[] | undefined;

  constructor(
    private readonly conditions: readonly MatchCondition[],
    private readonly scope: { params: boolean },
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
          `expression '${this.conditions[index]!.expression}' resulted in error: ${cel.messageOf(error)}`,
        );
      }
    }
    return failure ?? true;
  }
}

function compileCondition(cel: AdmissionCel, expression: string, { params }: { params: boolean }): Program | Error {
  try {
    return cel.compileAdmission(
      expression,
      { params, variables: new Map() },
      { types: ['bool'], problem: 'must evaluate to bool' },
    );
  } catch (error) {
    return error as Error;
  }
}
