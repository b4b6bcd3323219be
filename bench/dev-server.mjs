// The processes that benchmarks start by themselves: a built api-server on a fresh store, and what is to run beside it.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '..');

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** Tries until `attempt` does not throw; a minute at most. */
export async function eventually(what, attempt) {
  for (let i = 0; ; i++) {
    try {
      return await attempt();
    } catch (cause) {
      if (i === 600) throw new Error(`${what} does not answer`, { cause });
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }
}

/** Resolves when the URL answers 200, whoever signed its certificate. */
export function answers(url) {
  const get = () =>
    new Promise((resolve, reject) => {
      const { request } = url.startsWith('https:') ? https : http;
      request(url, { rejectUnauthorized: false }, response => {
        response.resume();
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${response.statusCode}`));
      })
        .on('error', reject)
        .end();
    });
  return eventually(url, get);
}

/** Processes that end together. */
export class Processes {
  children = [];

  constructor() {
    // Whoever cuts a benchmark short does not leave its processes behind.
    for (const signal of ['SIGTERM', 'SIGINT'])
      process.once(signal, () => void this.stop().then(() => process.exit(1)));
  }

  start(command, args, env = {}) {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
    this.children.push(child);
    return child;
  }

  /** An api-server with throw-away certificates in `folder`; see apps/api-server/dev.sh. */
  startApiServer(folder, { port, grpcPort, flags = [], nodeFlags = '' }) {
    return this.start(path.join(root, 'apps/api-server/dev.sh'), [folder, ...flags], {
      PORT: String(port),
      GRPC_PORT: String(grpcPort),
      NO_BUILD: '1',
      NODE_FLAGS: nodeFlags,
    });
  }

  /** The last one first, and each before the next: they need each other to end well. */
  async stop() {
    for (const child of this.children.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise(resolve => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    }
  }
}

const ticksPerSecond = 100;

/** User and system time of a process so far, in seconds. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export function residentMB(pid) {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);
}
