/** Waits until `check` throws no more. */
export async function eventually(check: () => void): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return check();
    } catch (error) {
      if (tries > 500) throw error;
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }
}
