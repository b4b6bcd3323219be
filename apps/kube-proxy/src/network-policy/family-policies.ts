import type { IpFamily } from '../desired/ip-family';
import { renderDifferences, renderRemoval, renderWhole, type RuleSet } from '../nft/rule-set';
import { PolicyState } from './policy-state';
import { policySkeleton, policyTable, type OwnNetwork } from './policy-table';

/** The policies of one family: what its table should say, and what it was last made to. */
export class FamilyPolicies {
  readonly state: PolicyState;
  /** The range of this node's pods, once it has one. */
  podCidr: string | undefined;
  private applied: { rules: RuleSet | undefined; podCidr: string | undefined } | undefined;

  constructor(private readonly deps: { nodeName: string; family: IpFamily; network: OwnNetwork | undefined }) {
    this.state = new PolicyState(deps);
  }

  get family(): IpFamily {
    return this.deps.family;
  }

  /** The transaction that is needed, empty when none is, and what is to be called once the kernel has taken it. */
  render(full: boolean): { text: string; commit: () => void } {
    const { podCidr, applied } = this;
    const { family, network } = this.deps;
    const wanted = this.state.ruleSet();
    const commit = (): void => {
      this.applied = { rules: wanted, podCidr };
    };
    if (!wanted) return { text: full || applied?.rules ? renderRemoval(policyTable(family)) : '', commit };
    const skeleton = policySkeleton(family, podCidr, network);
    const before = full || applied?.podCidr !== podCidr ? undefined : applied?.rules;
    const text = before ? renderDifferences(skeleton, before, wanted) : renderWhole(skeleton, wanted);
    return { text, commit };
  }
}
