/** A `describe` that is skipped with the reason on a laptop where something is in the way, failing where CI=true. */
export function describeWhere(obstacle: string | undefined, name: string, body: () => void): void {
  if (obstacle === undefined) describe(name, body);
  else if (process.env['CI'] === 'true') {
    test(name, () => {
      throw new Error(`cannot run: ${obstacle}`);
    });
  } else describe.skip(`${name} (skipped: ${obstacle})`, body);
}
