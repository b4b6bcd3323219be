/** The engine behind the expressions of admission, loaded by the first cluster that has one. */
export type AdmissionCel = typeof import('./admission');

let loaded: AdmissionCel | undefined;

export async function loadAdmissionCel(): Promise<AdmissionCel> {
  return (loaded ??= await import('./admission'));
}
