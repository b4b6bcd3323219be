import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { cri } from '@naru/proto';
import { eventually } from '@naru/testing';
import { RuntimeHarness, call, describeWithRoot } from './testing/runtime-harness';
import { StreamClient } from './testing/stream-client';

describeWithRoot('streams into containers', () => {
  const harness = new RuntimeHarness();
  let containerId: string;

  beforeAll(async () => {
    await harness.setUp();
    ({ containerId } = await harness.runPod('streams', { command: ['sleep', '1000'] }));
  });
  afterAll(() => harness.close());

  const exec = async (cmd: string[], changes: Partial<cri.ExecRequest> = {}): Promise<string> => {
    const request = {
      containerId,
      cmd,
      tty: false,
      stdin: false,
      stdout: true,
      stderr: true,
      auditRequestId: '',
      ...changes,
    };
    return (await call(harness.runtime, harness.runtime.exec, request)).url;
  };

  const attach = async (id: string, changes: Partial<cri.AttachRequest> = {}): Promise<string> => {
    const request = {
      containerId: id,
      stdin: true,
      tty: false,
      stdout: true,
      stderr: true,
      auditRequestId: '',
      ...changes,
    };
    return (await call(harness.runtime, harness.runtime.attach, request)).url;
  };

  const terminal = { stdin: true, tty: true, stderr: false };
  const onTerminal = async (script: string, id = containerId): Promise<StreamClient> =>
    new StreamClient(await exec(['sh', '-c', script], { ...terminal, containerId: id }));

  /** Waits until all that is between a flood and its client has filled. */
  const stuck = async (id: string): Promise<void> => {
    const written = async (): Promise<string> =>
      (await harness.exec(id, 'sh', '-c', 'cat /proc/$(pidof dd)/io')).stdout;
    await eventually(async () => expect(await written()).toBe(await written()));
  };

  test.each(['v4.channel.k8s.io', 'v5.channel.k8s.io'])(
    'a command over %s has its outputs apart, and its exit code',
    async protocol => {
      const client = new StreamClient(await exec(['sh', '-c', 'echo out; echo err >&2; exit 7']), protocol);
      await client.closed;
      expect(client.output.get(1)).toBe('out\n');
      expect(client.output.get(2)).toBe('err\n');
      expect(client.status()).toMatchObject({
        status: 'Failure',
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: '7' }] },
      });
    },
  );

  test('a command that is not there fails in the words of the OCI runtime, one that is there with its own code', async () => {
    for (const changes of [{}, { stdin: true, tty: true, stderr: false }]) {
      const missing = new StreamClient(await exec(['no-such-command'], changes));
      await missing.closed;
      expect(missing.status()).toMatchObject({
        status: 'Failure',
        reason: 'InternalError',
        code: 500,
        message: expect.stringMatching(
          /^Internal error occurred: error executing command in container: failed to exec in container: OCI runtime exec failed: .*no-such-command.* not found in \$PATH/,
        ),
      });
      expect(missing.output.get(1) ?? '').toBe('');
    }
    const own = new StreamClient(await exec(['sh', '-c', 'exit 255']));
    await own.closed;
    expect(own.status().details?.causes[0]?.message).toBe('255');
  });

  test('closing the input in version 5 lets a command finish, and much data comes through whole', async () => {
    const client = new StreamClient(
      await exec(['sh', '-c', 'md5sum; head -c 5000000 /dev/zero | tr "\\0" x'], { stdin: true }),
      'v5.channel.k8s.io',
    );
    await client.opened();
    for (let part = 0; part < 50; part++) client.send(0, 'a'.repeat(32_768));
    client.socket.send(Buffer.of(255, 0));
    await client.closed;
    const [sum, rest] = (client.output.get(1) ?? '').split('\n');
    // md5 of 50 * 32768 times the letter a
    const { createHash } = await import('node:crypto');
    expect(sum).toBe(
      `${createHash('md5')
        .update('a'.repeat(50 * 32_768))
        .digest('hex')}  -`,
    );
    expect(rest).toHaveLength(5_000_000);
    expect(client.status()).toEqual({ metadata: {}, status: 'Success' });
  });

  test('a terminal has the size of the client, follows its changes, and echoes', async () => {
    const client = new StreamClient(await exec(['sh'], { stdin: true, tty: true, stderr: false }));
    await client.opened();
    client.send(4, JSON.stringify({ Width: 123, Height: 45 }));
    client.send(0, 'tty; while [ "$(stty size)" != "45 123" ]; do sleep 0.05; done; echo sized\r');
    await eventually(() => expect(client.output.get(1)).toMatch(/\r\nsized\r\n/));
    expect(client.output.get(1)).toContain('/dev/pts/');
    client.send(4, JSON.stringify({ Width: 99, Height: 11 }));
    client.send(0, 'while [ "$(stty size)" != "11 99" ]; do sleep 0.05; done; exit 9\r');
    await client.closed;
    expect(client.status().details?.causes[0]?.message).toBe('9');
  });

  test.each(['crun', 'runc'])(
    'short commands on terminals side by side lose nothing of what they say, with %s',
    async handler => {
      const pod = await harness.runPod(`short-${handler}`, { command: ['sleep', '1000'] }, {}, handler);
      const runs = Array.from({ length: 40 }, async (_, index) => {
        const client = await onTerminal(`echo first ${index}; printf last; exit ${index}`, pod.containerId);
        await client.closed;
        return [client.stdout, client.exitCode];
      });
      expect(await Promise.all(runs)).toEqual(runs.map((_, index) => [`first ${index}\r\nlast`, index]));
    },
  );

  test('all output arrives before the end of a command, from pipes and from a terminal', async () => {
    const script = 'head -c 1000000 /dev/zero | tr "\\0" x; printf last; exit 9';
    const runs = Array.from({ length: 8 }, async (_, index) => {
      const client = index % 2 === 0 ? new StreamClient(await exec(['sh', '-c', script])) : await onTerminal(script);
      await client.closed;
      expect([client.stdout.length, client.stdout.slice(-5), client.exitCode]).toEqual([1_000_004, 'xlast', 9]);
    });
    await Promise.all(runs);
  });

  test('the keys of a terminal interrupt and end a command, also while nobody takes its output', async () => {
    const reading = await onTerminal('cat; echo ended; exit 4');
    const flooding = await onTerminal('dd if=/dev/zero bs=64k');
    await Promise.all([reading.opened(), flooding.opened()]);
    reading.send(0, 'typed\r');
    await eventually(() => expect(reading.stdout).toBe('typed\r\ntyped\r\n'));
    reading.send(0, '\x04');
    await reading.closed;
    expect([reading.stdout, reading.exitCode]).toEqual(['typed\r\ntyped\r\nended\r\n', 4]);
    await eventually(() => expect(flooding.stdout).toContain('\0'));
    flooding.socket.pause();
    await stuck(containerId);
    flooding.send(0, '\x03');
    await eventually(async () => expect((await harness.exec(containerId, 'ps')).stdout).not.toContain('zero'));
    flooding.socket.resume();
    await flooding.closed;
    expect(flooding.exitCode).toBe(130);
  });

  test('a child in the background that keeps the terminal does not hold up the end of its command', async () => {
    const client = await onTerminal('trap "" HUP; sleep 4243 & echo started; exit 3');
    await client.closed;
    expect([client.stdout, client.exitCode]).toEqual(['started\r\n', 3]);
    expect((await harness.exec(containerId, 'ps')).stdout).toContain('sleep 4243');
  });

  test('a terminal belongs to the user of its container', async () => {
    const linux = {
      securityContext: { runAsUser: { value: 1234n }, namespaceOptions: { pid: cri.NamespaceMode.CONTAINER } },
    };
    const pod = await harness.runPod('user', { command: ['sleep', '1000'], linux });
    const client = await onTerminal('id -u; stat -c %u $(tty); echo mine > /dev/tty', pod.containerId);
    await client.closed;
    expect([client.stdout, client.exitCode]).toEqual(['1234\r\n1234\r\nmine\r\n', 0]);
  });

  test('a command ends when its client goes away', async () => {
    const clients = [
      new StreamClient(await exec(['sleep', '4242'])),
      await onTerminal('sleep 4242'),
      await onTerminal('trap "" HUP; sleep 4242'), // it takes no notice of a terminal that hangs up
    ];
    const running = async (): Promise<number> =>
      ((await harness.exec(containerId, 'ps')).stdout.match(/root +sleep 4242$/gm) ?? []).length;
    await eventually(async () => expect(await running()).toBe(3));
    for (const { socket } of clients) socket.terminate();
    await eventually(async () => expect(await running()).toBe(0));
  });

  test("what a command on a terminal leaves behind is reaped, also among the node's processes", async () => {
    const linux = { securityContext: { namespaceOptions: { pid: cri.NamespaceMode.NODE } } };
    const pod = await harness.runPod('orphans', { command: ['sleep', '1000'], linux }, { linux });
    const script =
      'p=$( (sleep 0.1 > /dev/null & echo $!) ); while [ -d /proc/$p ]; do echo .; sleep 0.1; done; exit 7';
    const client = await onTerminal(script, pod.containerId);
    await client.closed;
    expect(client.exitCode).toBe(7);
  });

  test('clients that leave as soon as they have come leave no command behind', async () => {
    const leave = async (changes: Partial<cri.ExecRequest>): Promise<void> => {
      const client = new StreamClient(await exec(['sleep', '4244'], changes));
      await client.opened();
      client.socket.terminate();
    };
    await Promise.all(Array.from({ length: 16 }, (_, index) => leave(index % 4 === 0 ? terminal : {})));
    // Those who came before have been heard by the time this one is done.
    await new StreamClient(await exec(['true'])).closed;
    await eventually(() => expect(fs.readdirSync(path.join(harness.directory, 'run/state/execs'))).toEqual([]));
    expect((await harness.exec(containerId, 'ps')).stdout).not.toContain('4244');
  });

  test('a client that takes nothing of what a terminal shows does not hold up the end of its container', async () => {
    const pod = await harness.runPod('held', { command: ['sleep', '1000'] });
    const client = await onTerminal('dd if=/dev/zero bs=64k', pod.containerId);
    await eventually(() => expect(client.stdout).toContain('\0'));
    client.socket.pause();
    await stuck(pod.containerId);
    await call(harness.runtime, harness.runtime.stopContainer, { containerId: pod.containerId, timeout: 0n });
    expect((await harness.exited(pod.containerId)).exitCode).toBe(137);
    client.socket.resume();
    await client.closed;
    expect(client.exitCode).toBe(137);
  });

  test('requests that make no sense, and clients that reset what they asked for, end nothing but themselves', async () => {
    const { port, hostname } = new URL(await exec(['true']));
    const ask = (target: string, after: (socket: net.Socket) => void = () => undefined): Promise<string> =>
      new Promise(resolve => {
        const socket = net.connect(Number(port), hostname, () => {
          const headers = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
          socket.write(`GET ${target} HTTP/1.1\r\n${headers}`, () => after(socket));
        });
        socket.once('data', data => resolve(String(data).split('\r\n')[0]!));
        socket.on('error', error => resolve(error.message)).on('close', () => resolve('closed'));
      });
    expect(await ask('//')).toBe('HTTP/1.1 404 Not Found');
    for (let reset = 0; reset < 20; reset++) await ask('/exec/none', socket => socket.resetAndDestroy());
    expect(await ask('/exec/none')).toBe('HTTP/1.1 404 Not Found');
  });

  test('an address is good for one connection, and other protocols are refused', async () => {
    const url = await exec(['true']);
    await new StreamClient(url, 'v5.channel.k8s.io').closed;
    await expect(new StreamClient(url, 'v5.channel.k8s.io').closed).rejects.toThrow('404');
    await expect(new StreamClient(await exec(['true']), 'v9.channel.k8s.io').closed).rejects.toThrow('400');
  });

  test('attach shows new output, takes input and ends with success however the container ends', async () => {
    const { containerId: attached } = await harness.runPod('attached', {
      command: ['sh', '-c', 'echo before; while read line; do [ "$line" = end ] && exit 6; echo "got $line"; done'],
      stdin: true,
    });
    await harness.logWith('attached', 'before');
    const client = new StreamClient(await attach(attached));
    await client.opened();
    client.send(0, 'one\n');
    await eventually(() => expect(client.output.get(1)).toBe('got one\n'));
    client.send(0, 'end\n');
    await client.closed;
    expect(client.status()).toMatchObject({ status: 'Success' });
  });

  test('attach to a container that has ended before the client comes fails, so that the client reads the log', async () => {
    const pod = await harness.runPod('brief', { command: ['sleep', '1000'], stdin: true });
    const url = await attach(pod.containerId);
    await call(harness.runtime, harness.runtime.stopContainer, { containerId: pod.containerId, timeout: 0n });
    const client = new StreamClient(url);
    await client.closed;
    expect(client.status()).toMatchObject({
      status: 'Failure',
      message: expect.stringMatching(/error attaching to container: .* is in CONTAINER_EXITED state$/),
    });
  });

  test('attach to a terminal echoes, interrupts, follows the size, and shows all until the end', async () => {
    const script = `trap "echo interrupted" INT; echo before
      read line; until [ "$(stty size)" = "45 123" ]; do sleep 0.05; done; echo "sized $line"
      until read line; do :; done; head -c 300000 /dev/zero | tr "\\0" x; printf "last $line"; exit 6`;
    const pod = await harness.runPod('terminal', { command: ['sh', '-c', script], stdin: true, tty: true });
    await harness.logWith('terminal', 'before');
    const client = new StreamClient(await attach(pod.containerId, { tty: true, stderr: false }));
    await client.opened();
    client.send(4, JSON.stringify({ Width: 123, Height: 45 }));
    client.send(0, 'one\r');
    await eventually(() => expect(client.stdout).toBe('one\r\nsized one\r\n'));
    client.send(0, '\x03');
    await eventually(() => expect(client.stdout).toMatch(/interrupted\r\n$/));
    const before = client.stdout.length;
    client.send(0, 'two\r');
    await client.closed;
    const end = client.stdout.slice(before);
    expect([end.length, end.slice(0, 6), end.slice(-9)]).toEqual([300_013, 'two\r\nx', 'xlast two']);
    expect(await harness.exited(pod.containerId)).toMatchObject({ exitCode: 6 });
  });

  test('a runtime that is told to stop cuts off its clients, and does not wait for them', async () => {
    const client = await onTerminal('echo here; sleep 4242');
    await eventually(() => expect(client.stdout).toBe('here\r\n'));
    expect(await harness.stop()).toBe(0);
    await client.closed;
    expect(client.status()).toEqual({});
    await harness.start();
  });
});
