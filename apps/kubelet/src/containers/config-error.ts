/** A container cannot be described from its spec (a missing ConfigMap, say): waiting reason CreateContainerConfigError. */
export class ContainerConfigError extends Error {}
