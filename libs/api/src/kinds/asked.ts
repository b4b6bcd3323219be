import {
  bindings,
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
  tokenReviews,
} from '../resource';
import { defineKind } from './define-kind';

/** What is posted to be answered or done, and never stored. */
const onlyPosted = { verbs: ['create'] } as const;

export const bindingKind = defineKind(bindings, onlyPosted);
export const tokenReviewKind = defineKind(tokenReviews, onlyPosted);
export const selfSubjectReviewKind = defineKind(selfSubjectReviews, onlyPosted);
export const localSubjectAccessReviewKind = defineKind(localSubjectAccessReviews, onlyPosted);
export const selfSubjectAccessReviewKind = defineKind(selfSubjectAccessReviews, onlyPosted);
export const selfSubjectRulesReviewKind = defineKind(selfSubjectRulesReviews, onlyPosted);
export const subjectAccessReviewKind = defineKind(subjectAccessReviews, onlyPosted);
