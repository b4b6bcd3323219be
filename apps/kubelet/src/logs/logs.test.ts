import nodeFs from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { silentLogger, systemClock } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { LogRotator } from './log-rotator';
import { readLogs, type LogOptions } from './read-logs';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'kubelet-logs-'));
  file = path.join(directory, '0.log');
});

afterEach(() => fs.rm(directory, { recursive: true, force: true }));

const at = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000000Z`;
const line = (second: number, text: string, tag = 'F', stream = 'stdout'): string =>
  `${at(second)} ${stream} ${tag} ${text}\n`;

interface Reading {
  text: () => string;
  done: Promise<void>;
  stop: () => void;
}

function read(options: Partial<LogOptions>, hasEnded = async (): Promise<boolean> => true): Reading {
  const chunks: string[] = [];
  const controller = new AbortController();
  const done = readLogs(
    file,
    { follow: false, timestamps: false, ...options },
    {
      clock: systemClock,
      hasEnded,
      signal: controller.signal,
      write: async data => void chunks.push(data.toString()),
    },
  );
  return { text: () => chunks.join(''), done, stop: () => controller.abort() };
}

async function textOf(options: Partial<LogOptions>): Promise<string> {
  const reading = read(options);
  await reading.done;
  return reading.text();
}

describe('readLogs', () => {
  beforeEach(() =>
    fs.writeFile(file, line(1, 'one') + line(2, 'tw', 'P') + line(2, 'o') + line(3, 'three', 'F', 'stderr')),
  );

  it.each([
    [{}, 'one\ntwo\nthree\n'],
    [{ tailLines: 1 }, 'three\n'],
    [{ tailLines: 0 }, ''],
    [{ tailLines: 99 }, 'one\ntwo\nthree\n'],
    [{ limitBytes: 5 }, 'one\nt'],
    [{ sinceMs: Date.parse(at(3)) }, 'three\n'],
    [{ stream: 'stderr' as const }, 'three\n'],
    [{ timestamps: true, tailLines: 1 }, `${at(3)} three\n`],
    [{ timestamps: true, limitBytes: 1000 }, `${at(1)} one\n${at(2)} two\n${at(3)} three\n`],
  ])('with %j gives %j', async (options, expected) => {
    expect(await textOf(options)).toBe(expected);
  });

  it('shows as many of the last lines as were asked for, though more are written meanwhile', async () => {
    const chunks: string[] = [];
    await readLogs(
      file,
      { follow: false, timestamps: false, tailLines: 2 },
      {
        clock: systemClock,
        hasEnded: async () => true,
        signal: new AbortController().signal,
        write: async data => {
          chunks.push(data.toString());
          await fs.appendFile(file, line(4, 'late'));
        },
      },
    );
    expect(chunks.join('')).toBe('o\nthree\n');
  });

  it('follows what is added, over a rotation, until the container has ended', async () => {
    let mayEnd = false;
    let ended = false;
    const reading = read({ follow: true, tailLines: 1 }, async () => {
      // What comes just before the end.
      if (mayEnd && !ended) await fs.appendFile(file, line(6, 'six'));
      return (ended = mayEnd);
    });
    await eventually(() => expect(reading.text()).toBe('three\n'));
    await fs.appendFile(file, line(4, 'four'));
    await eventually(() => expect(reading.text()).toBe('three\nfour\n'));
    await fs.rename(file, `${file}.20260101-000000`);
    await fs.writeFile(file, line(5, 'five'));
    await eventually(() => expect(reading.text()).toBe('three\nfour\nfive\n'));
    mayEnd = true;
    await fs.utimes(file, 0, 0); // it looks again
    await reading.done;
    expect(reading.text()).toBe('three\nfour\nfive\nsix\n');
  });

  it('reads what is written just before a rotation', async () => {
    const { stat } = nodeFs.promises;
    const look = jest.spyOn(nodeFs.promises, 'stat').mockImplementationOnce(async name => {
      await fs.appendFile(file, line(4, 'late'));
      await fs.rename(file, `${file}.old`);
      await fs.writeFile(file, line(5, 'new'));
      return stat(name);
    });
    const reading = read({ follow: true });
    await reading.done;
    look.mockRestore();
    expect(reading.text()).toBe('one\ntwo\nthree\nlate\nnew\n');
  });

  it('stops when the reader has left', async () => {
    const reading = read({ follow: true }, async () => false);
    await eventually(() => expect(reading.text()).toContain('three'));
    reading.stop();
    await reading.done;
  });
});

describe('LogRotator', () => {
  it('puts full logs aside, compresses older ones and drops the oldest', async () => {
    let now = Date.parse(at(0));
    const rotator = new LogRotator({
      clock: { ...systemClock, now: () => (now += 1000) },
      logger: silentLogger,
      logs: () => [{ containerId: 'c', file }],
      reopen: () => fs.writeFile(file, ''),
      maxBytes: 10,
      maxFiles: 3,
    });
    for (let i = 0; i < 4; i++) {
      await fs.writeFile(file, `some text of round ${i}`);
      await rotator.rotateAll();
    }
    const names = (await fs.readdir(directory)).sort();
    expect(names).toEqual(['0.log', '0.log.20260101-000003.gz', '0.log.20260101-000004']);
    await rotator.rotateAll();
    expect((await fs.readdir(directory)).sort()).toEqual(names);
  });

  it('keeps the name of a log that the runtime does not open again', async () => {
    const rotator = new LogRotator({
      clock: systemClock,
      logger: silentLogger,
      logs: () => [{ containerId: 'c', file }],
      reopen: () => Promise.reject(new Error('no')),
      maxBytes: 1,
    });
    await fs.writeFile(file, 'text');
    await rotator.rotateAll();
    expect(await fs.readdir(directory)).toEqual(['0.log']);
  });
});
