import { loadTypeCheck, type ValidatingAdmissionPolicy } from '@naru/api';
import { matchedKinds, schemaOf, type CheckedKind, type GroupVersionKind } from './matched-kinds';

type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;

export interface ExpressionWarning {
  fieldRef: string;
  warning: string;
}

function paramsKind({ paramKind }: Spec): GroupVersionKind | undefined {
  const { apiVersion, kind } = paramKind ?? {};
  if (!apiVersion || !kind) return undefined;
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/', 2) : ['', apiVersion];
  return { group: group!, version: version!, kind };
}

/** What is wrong with the validations of a policy, by the schemas of the kinds that it is about. */
export async function typeWarnings(spec: Spec, read: <T>(path: string) => Promise<T>): Promise<ExpressionWarning[]> {
  const kinds: CheckedKind[] = [];
  for (const kind of await matchedKinds(spec, read)) {
    const checked = await schemaOf(kind, read);
    if (checked) kinds.push(checked);
  }
  if (kinds.length === 0) return [];
  const named = paramsKind(spec);
  const params = named && (await schemaOf(named, read));
  const variables = (spec.variables ?? []).map(({ name, expression }) => ({ name, expression }));
  const { TypeChecker } = await loadTypeCheck();
  const checkers = kinds.map(object => ({
    title: object.title,
    checker: new TypeChecker({ object, params, variables }),
  }));
  const warnings: ExpressionWarning[] = [];
  const check = (fieldRef: string, expression: string | undefined): void => {
    if (!expression) return;
    const told = checkers.flatMap(({ title, checker }) => {
      const problem = checker.problemOf(expression);
      return problem === undefined ? [] : [`${title}: ${problem}\n`];
    });
    if (told.length > 0) warnings.push({ fieldRef, warning: told.join('\n') });
  };
  for (const [i, { expression, messageExpression }] of (spec.validations ?? []).entries()) {
    check(`spec.validations[${i}].expression`, expression);
    check(`spec.validations[${i}].messageExpression`, messageExpression);
  }
  return warnings;
}
