import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { mountsRecursivelyReadOnly } from './recursive-read-only';

describe('recursive read-only mounts', () => {
  let directory: string;
  beforeEach(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), 'oci-'))));
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  const program = (script: string): string => {
    const file = path.join(directory, 'runtime');
    fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return file;
  };

  it.each([
    [`echo '{"mountOptions":["ro","rro"]}'`, '6.1.0-13-amd64', true],
    [`echo '{"mountOptions":["ro"]}'`, '6.1.0', false],
    [`echo '{"mountOptions":["ro","rro"]}'`, '5.10.0', false],
    ['[ $1 = --version ] && echo crun version 1.8.1', '5.12.0', true],
    ['[ $1 = --version ] && echo crun version 1.3', '6.1.0', false],
    ['exit 1', '6.1.0', false],
  ])('of a runtime that says %s on Linux %s are possible: %s', async (script, kernel, possible) => {
    expect(await mountsRecursivelyReadOnly(program(script), kernel)).toBe(possible);
  });
});
