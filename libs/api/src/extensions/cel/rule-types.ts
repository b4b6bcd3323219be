import type { Environment } from '@marcbachmann/cel-js';
import type { Structural } from '../structural';
import { kubernetesEnvironment } from './library';
import { SchemaTypes } from './schema-types';

let base: Environment | undefined;

/** The types of one definition's schema, by which its rules are checked: they run over plain values. */
export class RuleTypes {
  private readonly environment: Environment;
  private readonly types: SchemaTypes;
  private readonly rootType: string;
  /** The rules of one schema come one after another. */
  private latest: { schema: Structural; optionalOldSelf: boolean; environment: Environment } | undefined;

  constructor(private readonly root: Structural) {
    base ??= kubernetesEnvironment();
    // Much cheaper than a new one.
    this.environment = base.clone();
    this.types = new SchemaTypes(this.environment, {});
    this.rootType = this.types.resourceType(root.schema.properties ?? {}, 'self');
  }

  /** `self` and `oldSelf` are what this part of the schema says. */
  environmentOf(schema: Structural, optionalOldSelf: boolean): Environment {
    const { latest } = this;
    if (latest?.schema === schema && latest.optionalOldSelf === optionalOldSelf) return latest.environment;
    const type = schema === this.root ? this.rootType : (this.types.typeOf(schema.schema, 'self') ?? 'dyn');
    const environment = this.environment
      .clone()
      .registerVariable('self', type)
      .registerVariable('oldSelf', optionalOldSelf ? `optional<${type}>` : type);
    this.latest = { schema, optionalOldSelf, environment };
    return environment;
  }
}
