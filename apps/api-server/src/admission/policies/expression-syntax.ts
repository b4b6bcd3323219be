import {
  invalid,
  invalidObject,
  loadAdmissionCel,
  type AdmissionCel,
  type FieldError,
  type KubeObject,
  type Program,
} from '@naru/api';
import { isExempt } from '../matching/attributes';
import type { MatchCondition } from '../matching/match-conditions';
import type { AdmissionPlugin } from '../plugin';
import { mutationExpression, type MutatingSpec } from './mutating-policies';

interface Configuration extends KubeObject {
  webhooks?: { matchConditions?: MatchCondition[] }[];
  spec?: MutatingSpec & {
    validations?: { expression?: string; messageExpression?: string }[];
    auditAnnotations?: { valueExpression?: string }[];
  };
}

const expected = {
  bool: { types: ['bool'], problem: 'must evaluate to bool' },
  string: { types: ['string'], problem: 'must evaluate to string' },
  textOrNull: { types: ['string', 'null'], problem: 'must evaluate to one of [string null_type]' },
  anything: undefined,
};

/** A policy or webhook whose expressions do not compile is refused when it is written, not when it is needed. */
export const expressionSyntax: AdmissionPlugin = {
  name: 'ExpressionSyntax',
  handles: request => isExempt(request) && request.subresource === '' && request.object !== undefined,
  async validate({ definition, name, object }) {
    const configuration = object as Configuration;
    if (!hasExpressions(configuration)) return;
    const errors = problemsOf(await loadAdmissionCel(), configuration);
    if (errors.length > 0) throw invalidObject(definition.type, name, errors);
  },
};

function hasExpressions({ webhooks = [], spec }: Configuration): boolean {
  return spec !== undefined || webhooks.some(({ matchConditions }) => matchConditions?.length);
}

function problemsOf(cel: AdmissionCel, { webhooks = [], spec }: Configuration): FieldError[] {
  const errors: FieldError[] = [];
  const params = spec?.paramKind !== undefined;
  const variables = new Map<string, Program | Error>();
  const check = (field: string, text: string | undefined, type: keyof typeof expected): void => {
    if (!text) return;
    try {
      cel.compileAdmission(text, { params, variables }, expected[type]);
    } catch (error) {
      errors.push(invalid(field, text, (error as Error).message));
    }
  };
  const checkConditions = (at: string, conditions: readonly MatchCondition[] = []): void => {
    for (const [i, { expression }] of conditions.entries()) check(`${at}[${i}].expression`, expression, 'bool');
  };
  for (const [i, { matchConditions }] of webhooks.entries())
    checkConditions(`webhooks[${i}].matchConditions`, matchConditions);
  if (!spec) return errors;
  checkConditions('spec.matchConditions', spec.matchConditions);
  for (const [i, { name, expression }] of (spec.variables ?? []).entries()) {
    check(`spec.variables[${i}].expression`, expression, 'anything');
    try {
      variables.set(name, cel.compileAdmission(expression, { params, variables: new Map(variables) }));
    } catch (error) {
      variables.set(name, error as Error);
    }
  }
  for (const [i, { expression, messageExpression }] of (spec.validations ?? []).entries()) {
    check(`spec.validations[${i}].expression`, expression, 'bool');
    check(`spec.validations[${i}].messageExpression`, messageExpression, 'string');
  }
  for (const [i, mutation] of (spec.mutations ?? []).entries()) {
    const field = mutation.applyConfiguration ? 'applyConfiguration' : 'jsonPatch';
    check(
      `spec.mutations[${i}].${field}.expression`,
      cel.withoutTypedLiterals(mutationExpression(mutation)),
      'anything',
    );
  }
  for (const [i, { valueExpression }] of (spec.auditAnnotations ?? []).entries())
    check(`spec.auditAnnotations[${i}].valueExpression`, valueExpression, 'textOrNull');
  return errors;
}
