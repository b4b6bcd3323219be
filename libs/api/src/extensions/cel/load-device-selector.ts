import type { DeviceSelector } from './device-selector';

let loaded: typeof import('./device-selector') | undefined;

/** Loads the engine behind device selectors: only clusters with ResourceSlices pay for it. */
export async function loadDeviceCel(): Promise<void> {
  loaded ??= await import('./device-selector');
}

/** @throws Error for an expression that does not compile, and before `loadDeviceCel` has been awaited */
export function compileDeviceSelector(text: string): DeviceSelector {
  if (!loaded) throw new Error('The engine of device selectors is not loaded: await loadDeviceCel first');
  return loaded.compileDeviceSelector(text);
}
