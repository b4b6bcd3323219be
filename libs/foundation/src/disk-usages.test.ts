import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from './clock';
import { DiskUsages } from './disk-usages';

describe('disk usages', () => {
  let directory: string;
  beforeEach(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), 'usages-'))));
  afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

  it('counts what lies below a directory, a file of two names once', async () => {
    fs.mkdirSync(path.join(directory, 'below'));
    fs.writeFileSync(path.join(directory, 'below/a'), Buffer.alloc(64 << 10, 1));
    fs.linkSync(path.join(directory, 'below/a'), path.join(directory, 'b'));
    const usages = new DiskUsages(systemClock);
    await usages.renew(directory);
    expect(usages.get(directory)).toMatchObject({ inodes: 2 });
    expect(usages.get(directory)?.bytes).toBeGreaterThanOrEqual(64 << 10);
    expect(usages.get(directory)?.bytes).toBeLessThan(128 << 10);
  });

  it('answers at once with what it knows and measures again when that is old', async () => {
    let now = 0;
    const usages = new DiskUsages({ ...systemClock, now: () => now }, 1_000);
    expect(usages.get(directory)).toBeUndefined();
    await usages.renew(directory);
    expect(usages.get(directory)).toMatchObject({ inodes: 0, atMs: 0 });
    fs.writeFileSync(path.join(directory, 'a'), 'a');
    now = 2_000;
    expect(usages.get(directory)).toMatchObject({ inodes: 0 });
    await usages.renew(directory);
    expect(usages.get(directory)).toMatchObject({ inodes: 1, atMs: 2_000 });
  });

  it('walks again for who asks as a walk is under way, and once for all who wait for that', async () => {
    const usages = new DiskUsages(systemClock);
    const underWay = usages.renew(directory);
    await Promise.resolve();
    const next = usages.renew(directory);
    expect(next).not.toBe(underWay);
    expect(usages.renew(directory)).toBe(next);
    await underWay;
    fs.writeFileSync(path.join(directory, 'a'), 'a');
    await next;
    expect(usages.get(directory)).toMatchObject({ inodes: 1 });
  });

  it('knows nothing of a directory that is gone', async () => {
    const usages = new DiskUsages(systemClock);
    await usages.renew(path.join(directory, 'absent'));
    expect(usages.get(path.join(directory, 'absent'))).toBeUndefined();
  });
});
