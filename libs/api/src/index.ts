export type * from './types';
export type { Wire } from './wire';
export * from './resource';
export type {
  AnyDefinition,
  ResourceDefinition,
  ScalePaths,
  StoredAs,
  Strategy,
  Subresources,
  Verb,
} from './scheme/definition';
export { Scheme } from './scheme/scheme';
export { definitions } from './scheme/definitions';
export {
  describeFieldError,
  duplicate,
  forbidden,
  invalid,
  invalidObject,
  notFound,
  notSupported,
  required,
  tooLong,
  tooMany,
  type FieldError,
  type FieldErrorType,
} from './validation/field-error';
export { apiReferences } from './pod-references';
export { featuresToRun, featuresToUpdate, missingFeatures } from './declared-features';
export type { Cell, TableColumn } from './table/column';
export {
  partialMetadata,
  toTable,
  type IncludeObject,
  type Table,
  type TableOptions,
  type TableRow,
} from './table/to-table';
export {
  decodeObject,
  decodeValue,
  type Decoded,
  type DecodeOptions,
  type ExpectedKind,
  type FieldValidation,
  yamlErrors,
} from './decode/decode-object';
export { applyPatch, patchMediaTypes, type PatchMediaType } from './patch/apply-patch';
export { patchComplaints } from './patch/patch-complaints';
export { duplicateKeys } from './decode/duplicate-fields';
export {
  labelSelectorOf,
  parseLabelSelector,
  selectorFromMap,
  type Operator,
  type Requirement,
  type Selector,
} from './selectors/label-selector';
export { parseFieldSelector, type FieldRequirement, type FieldSelector } from './selectors/field-selector';
export {
  canonicalAmount,
  canonicalQuantity,
  Quantity,
  quantityFormatMessage,
  type QuantityFormat,
} from './canonical-quantity';
export { parseNano, quantityMilliValue, quantityValue } from './quantity';
export { compileLabelMap, compileLabelSelector, type LabelMatcher, type Labels } from './label-selector';
export { hostPortsConflict, hostPortsOf, type HostPort } from './host-ports';
export { findUntoleratedTaint, parseTaint, tolerates } from './taints';
export { compileNodeDemand, compileNodeSelectorTerm, type NodeMatcher } from './node-selector';
export {
  hasPodLevelResources,
  podLimits,
  podRequests,
  podRequestsNonZero,
  resourceAmounts,
  type ResourceAmounts,
} from './pod-resources';
export { withResourcesInUse } from './pod-resources-in-use';
export {
  claimNameOf,
  claimNamesOf,
  defaultClassAnnotation,
  isEphemeralClaimOf,
  isFullyBound,
  isReservedFor,
  storageClassOf,
  volumeAnnotations,
} from './storage/claim';
export { attachedVolumeName, attachmentName, parseAttachedVolumeName, type CsiHandle } from './storage/attachment';
export { findMatchingVolume, isReachableFrom, type MatchOptions } from './storage/match-volume';
export { addQuantities, formatQuantities, parseQuantities, podQuantities, type Quantities } from './quota/quantities';
export { countName, coveredNames, missingAmounts, quotaMatches, quotaUsage } from './quota/usage';
export { generateName, randomSuffix, safeEncode } from './names/generate-name';
export { aggregatedDiscovery, apiGroup, apiGroupList, apiResourceList, apiVersions } from './discovery/discovery';
export { groupPriority, versionPriority } from './discovery/group-priority';
export { openApiV2, openApiV2Protobuf, openApiV3, openApiV3Index, type OpenApiDocument } from './openapi/openapi';
export { qosClassOf, type QosClass } from './pod-qos';
export { hasSubresource } from './discovery/subresources';
export { keepServiceAddresses } from './kinds/service';
export { parsePodLogOptions, type PodLogOptions } from './validation/pod/log-options';
export { setKey } from './decode/decode-value';
export { integerParameter } from './decode/query';
export { validateEphemeralContainers } from './validation/pod/ephemeral-containers';
export { scaledIntOrPercent, validateIntOrPercent } from './validation/int-or-percent';
export { deepEqual } from './deep-equal';
export { defaultPullPolicy, imageTag } from './image-reference';
export { humanDuration } from './table/duration';
export { formatRestarts, summarizePod, type PodSummary } from './table/pod-summary';
export { kindSchema, type FieldSchema, type TypeSchema, type ValueSchema } from './schema/types';
export type { FieldsV1 } from './managed-fields/fields-v1';
export type { LeafType, ListType, MergeType, ObjectType } from './managed-fields/merge-type';
export {
  mergeTypeOf,
  mergeTypeOfKind,
  mergeTypeOfStructuralSchema,
  type StructuralSchema,
} from './managed-fields/schema-merge-type';
export { sameButTimes, storedEntries, type ManagedEntry } from './managed-fields/managed-entries';
export { trackCreate, trackUpdate, type FieldWriter } from './managed-fields/field-manager';
export { mergeObjects } from './managed-fields/merge-objects';
export { checkApplicable, serverSideApply, type ApplyWriter } from './managed-fields/server-side-apply';
export { notTyped, typeErrors } from './managed-fields/type-errors';
export { DecodeError } from './decode/decode-value';
export { goText } from './go-text';
export { customKind, type CustomKindOptions } from './extensions/custom-kind';
export { loadRules } from './extensions/cel/load';
export { loadAdmissionCel, type AdmissionCel } from './extensions/cel/load-admission';
export { compileDeviceSelector, loadDeviceCel } from './extensions/cel/load-device-selector';
export type { DeviceSelector } from './extensions/cel/device-selector';
export {
  claimFinalizer,
  claimNames,
  isClaimReservedFor,
  isMadeFor,
  isResourceClaimOf,
  maxReservations,
  podClaimAnnotation,
  resourceClaimName,
} from './devices/claim';
export {
  extendedClaimAnnotation,
  isDeviceResource,
  isServedByClaim,
  resourcesOfClass,
} from './devices/extended-resource';
export { loadTypeCheck } from './extensions/cel/load-type-check';
export type { OpenApiSchema } from './extensions/cel/schema-types';
export type { TypedKind } from './extensions/cel/type-check';
export type { AdmissionScope, AdmissionValues, Budget, Decide, Program } from './extensions/cel/admission';
export {
  cleanupFinalizer,
  isDefinitionConditionTrue,
  type ConversionWebhook,
  type CustomResourceNames,
  type CustomResourceVersion,
  type JsonSchema,
} from './extensions/types';
export { parseJsonPath, type JsonPath } from './extensions/json-path';
