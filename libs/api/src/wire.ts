/**
 * The JSON shape of a Kubernetes type as @kubernetes/client-node models it: times are strings, and the names that the
 * generator had to escape (`_continue`, `_from`, `_default`) are what they are on the wire. An optional field may be given as undefined, which JSON leaves out.
 */
export type Wire<T> = T extends Date
  ? string
  : T extends string | number | boolean | bigint | null | undefined
    ? T
    : T extends readonly (infer E)[]
      ? Wire<E>[]
      : T extends object
        ? { [K in keyof T as WireKey<K>]: Wire<T[K]> | Optional<T, K> }
        : T;

type WireKey<K> = K extends `_${infer Name}` ? Name : K;

/** What an absent field may be given as: undefined for optional fields, nothing for required ones and map entries. */
type Optional<T, K extends keyof T> = string extends K ? never : {} extends Pick<T, K> ? undefined : never;
