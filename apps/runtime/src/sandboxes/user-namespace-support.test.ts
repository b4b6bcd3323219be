import { silentLogger } from '@naru/foundation';
import { eventually } from '@naru/testing';
import type { OciRuntimes } from '../oci/oci-runtimes';
import { UserNamespaceSupport } from './user-namespace-support';

test('what keeps pods from having user namespaces is looked at again now and then, and nobody waits for that', async () => {
  let now = 0;
  const clock = { now: () => now };
  // No directory can be made there.
  const deps = { root: '/dev/null/first', state: '/dev/null', imageLayers: '/', cgroupParent: '/', clock };
  const runtimes = { get: () => ({ program: 'crun' }) } as unknown as OciRuntimes;
  const support = new UserNamespaceSupport(Object.assign(deps, { runtimes, logger: silentLogger }));
  const first = await support.problem('');
  expect(first).toContain('ENOTDIR');
  await expect(support.check('')).rejects.toThrow(`user namespaces are not supported on this node: ${first}`);
  deps.state = '/dev/null/second';
  now += 14_999;
  expect(await support.problem('')).toBe(first);
  now += 1;
  // The last outcome, while another is on its way.
  expect(await support.problem('')).toBe(first);
  const second = await eventually(async () => {
    const problem = await support.problem('');
    expect(problem).toContain('/dev/null/second');
    return problem;
  });
  deps.state = '/dev/null/third';
  // Twice as long.
  now += 29_999;
  await support.problem('');
  expect(await support.problem('')).toBe(second);
  now += 1;
  await eventually(async () => expect(await support.problem('')).toContain('/dev/null/third'));
});
