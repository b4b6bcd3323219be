type TypeCheck = typeof import('./type-check');

let loaded: TypeCheck | undefined;

/** The type checker of admission policies, loaded by the first cluster that has one. */
export async function loadTypeCheck(): Promise<TypeCheck> {
  return (loaded ??= await import('./type-check'));
}
