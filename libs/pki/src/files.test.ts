import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { writeSecretFile } from './files';

test('a secret file is readable by its owner only and is replaced as a whole', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'pki-'));
  try {
    const file = path.join(folder, 'deep', 'key.pem');
    await writeSecretFile(file, 'one');
    await writeSecretFile(file, 'two');
    expect(await readFile(file, 'utf8')).toBe('two');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(path.dirname(file))).toEqual(['key.pem']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
