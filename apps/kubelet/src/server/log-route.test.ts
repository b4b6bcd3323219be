import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { LogRoute } from './log-route';

describe("the node's logs", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kubelet-logs-'));
  const logs = path.join(directory, 'log');
  let server: http.Server;
  let enabled = true;

  beforeAll(async () => {
    fs.mkdirSync(path.join(logs, 'a & b'), { recursive: true });
    fs.mkdirSync(path.join(directory, 'pods'));
    fs.writeFileSync(path.join(logs, 'syslog'), 'one\ntwo\n');
    fs.writeFileSync(path.join(logs, 'wtmp'), Buffer.from([1, 0, 2]));
    fs.writeFileSync(path.join(directory, 'secret'), 'secret');
    fs.writeFileSync(path.join(directory, 'pods/c.log'), 'of a container');
    fs.symlinkSync('../secret', path.join(logs, 'leak'));
    fs.symlinkSync('../pods/c.log', path.join(logs, 'c.log'));
    server = http.createServer((request, response) => {
      const route = new LogRoute({ directory: logs, alsoWithin: [path.join(directory, 'pods')], enabled });
      const url = new URL(request.url ?? '', 'http://node');
      const parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent).slice(1);
      route.routes['logs']?.({ request, response, url, parts }).catch((error: Error) =>
        response.writeHead(error instanceof StatusError ? error.code : 500).end(error.message),
      );
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    server.close();
    fs.rmSync(directory, { recursive: true });
  });

  const get = async (place: string, init: RequestInit = {}): Promise<{ code: number; text: string; type: string }> => {
    const { port } = server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}/logs${place}`, { redirect: 'manual', ...init });
    const type = answer.headers.get('content-type') ?? answer.headers.get('location') ?? '';
    return { code: answer.status, text: await answer.text(), type };
  };

  it('are listed and shown, whole or in part', async () => {
    expect((await get('/')).text).toContain(
      '<a href="a%20%26%20b/">a &amp; b/</a>\n<a href="c.log">c.log</a>\n<a href="leak">leak</a>\n',
    );
    expect(await get('/syslog')).toEqual({ code: 200, text: 'one\ntwo\n', type: 'text/plain; charset=utf-8' });
    expect((await get('/wtmp')).type).toBe('application/octet-stream');
    expect(await get('/syslog', { headers: { range: 'bytes=-4' } })).toMatchObject({ code: 206, text: 'two\n' });
    expect(await get('/syslog', { headers: { range: 'bytes=9-' } })).toMatchObject({ code: 416 });
    expect(await get('/a%20%26%20b')).toMatchObject({ code: 301, type: 'a%20%26%20b/' });
    expect(await get('/c.log')).toMatchObject({ code: 200, text: 'of a container' });
  });

  it('are no way to other files of the node', async () => {
    for (const place of ['/leak', '/absent', '/syslog/x']) expect(await get(place)).toMatchObject({ code: 404 });
    expect(await get('/syslog', { method: 'DELETE' })).toMatchObject({ code: 405 });
  });

  it('stay among themselves however quickly somebody swaps their directories for links', async () => {
    const at = (name: string): string => path.join(logs, 'swapped', name);
    for (const [place, text] of Object.entries({ 'secrets/x': 'secret', 'log/swapped/dir/x': 'a log' })) {
      fs.mkdirSync(path.dirname(path.join(directory, place)), { recursive: true });
      fs.writeFileSync(path.join(directory, place), text);
    }
    fs.symlinkSync('../../secrets', at('link'));
    const script = `const { renameSync } = require('fs'); const [dir, link, aside] = process.argv.slice(1);
      for (;;) { renameSync(dir, aside); renameSync(link, dir); renameSync(dir, link); renameSync(aside, dir); }`;
    const swapper = spawn(process.execPath, ['-e', script, at('dir'), at('link'), at('aside')], { stdio: 'ignore' });
    try {
      const seen = new Set<string>();
      await eventually(() => void fs.readlinkSync(at('dir')));
      // Enough that the file was shown, and that it was not because of the link.
      for (let tries = 0; tries < 20 || !seen.has('a log'); tries++) {
        const places = Array.from({ length: 20 }, (_, index) => (index % 2 ? '/swapped/dir/' : '/swapped/dir/x'));
        for (const { text } of await Promise.all(places.map(place => get(place)))) seen.add(text);
      }
      expect(seen).not.toContain('secret');
      expect(seen).toContain('a log');
    } finally {
      const ended = once(swapper, 'exit');
      swapper.kill('SIGKILL');
      await ended;
    }
  });

  it('are not shown when enableSystemLogHandler is false', async () => {
    enabled = false;
    expect(await get('/syslog')).toMatchObject({ code: 405, text: 'logs endpoint is disabled.' });
  });
});
