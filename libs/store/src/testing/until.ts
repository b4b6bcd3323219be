/** Waits until `holds` says true; fails after `timeoutMs`. */
export async function until(holds: () => boolean | Promise<boolean>, timeoutMs = 90_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !(await holds());) {
    if (Date.now() > deadline) throw new Error('the condition did not come true in time');
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
