import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { followLog } from './log-follower';

let directory: string;
let file: string;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'runtime-log-'));
  file = path.join(directory, '0.log');
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

const line = (text: string): string => `2026-01-01T00:00:00.000000000Z stdout F ${text}\n`;

async function follow(ended: Promise<unknown>): Promise<string> {
  let text = '';
  for await (const { data } of followLog(file, ended, new AbortController().signal)) text += data.toString();
  return text;
}

test('a log is followed through a rotation to the end of its container, with what is written just before either', async () => {
  fs.writeFileSync(file, line('before'));
  const { statSync } = fs;
  const look = jest.spyOn(fs, 'statSync').mockImplementationOnce((...args) => {
    fs.appendFileSync(file, line('late'));
    fs.renameSync(file, `${file}.old`);
    fs.writeFileSync(file, line('new'));
    return statSync(...args);
  });
  let end: () => void = () => undefined;
  const text = follow(new Promise<void>(resolve => (end = resolve)));
  fs.appendFileSync(file, line('last'));
  end();
  expect(await text).toBe('late\nnew\nlast\n');
  look.mockRestore();
});
