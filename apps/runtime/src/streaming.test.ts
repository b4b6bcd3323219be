import { cri } from '@naru/proto';
import { eventually } from '@naru/testing';
import WebSocket from 'ws';
import { RuntimeHarness, call, describeWithRoot } from './testing/runtime-harness';

/** A client that collects what comes on each channel. */
class Client {
  readonly output = new Map<number, string>();
  readonly socket: WebSocket;
  readonly closed: Promise<number>;

  constructor(url: string, protocol: string) {
    this.socket = new WebSocket(url.replace('http:', 'ws:'), [protocol]);
    this.socket.on('message', (data: Buffer) => {
      const channel = data[0] ?? -1;
      this.output.set(channel, (this.output.get(channel) ?? '') + data.subarray(1).toString('utf8'));
    });
    this.closed = new Promise((resolve, reject) => {
      this.socket.on('close', resolve);
      this.socket.on('error', reject);
    });
    this.closed.catch(() => undefined);
  }

  send(channel: number, text: string): void {
    this.socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(text)]));
  }

  opened(): Promise<void> {
    return new Promise(resolve => this.socket.once('open', resolve));
  }

  status(): { status: string; details?: { causes: { message: string }[] } } {
    return JSON.parse(this.output.get(3) ?? '{}') as { status: string };
  }
}

describeWithRoot('streams into containers', () => {
  const harness = new RuntimeHarness();
  let containerId: string;

  beforeAll(async () => {
    await harness.setUp();
    ({ containerId } = await harness.runPod('streams', { command: ['sleep', '1000'] }));
  }, 120_000);
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

  test.each(['v4.channel.k8s.io', 'v5.channel.k8s.io'])(
    'a command over %s has its outputs apart, and its exit code',
    async protocol => {
      const client = new Client(await exec(['sh', '-c', 'echo out; echo err >&2; exit 7']), protocol);
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
      const missing = new Client(await exec(['no-such-command'], changes), 'v5.channel.k8s.io');
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
    const own = new Client(await exec(['sh', '-c', 'exit 255']), 'v5.channel.k8s.io');
    await own.closed;
    expect(own.status().details?.causes[0]?.message).toBe('255');
  });

  test('closing the input in version 5 lets a command finish, and much data comes through whole', async () => {
    const client = new Client(
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
    const client = new Client(await exec(['sh'], { stdin: true, tty: true, stderr: false }), 'v5.channel.k8s.io');
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

  test('all output arrives before the end of a command', async () => {
    const script = 'head -c 1000000 /dev/zero | tr "\\0" x; printf last; exit 9';
    const runs = Array.from({ length: 8 }, async () => {
      const client = new Client(await exec(['sh', '-c', script]), 'v5.channel.k8s.io');
      await client.closed;
      expect(client.status().details?.causes[0]?.message).toBe('9');
      const output = client.output.get(1) ?? '';
      expect([output.length, output.slice(-5)]).toEqual([1_000_004, 'xlast']);
    });
    await Promise.all(runs);
  });

  test('a command ends when its client goes away', async () => {
    const client = new Client(await exec(['sleep', '4242']), 'v5.channel.k8s.io');
    await client.opened();
    await eventually(async () => expect((await harness.exec(containerId, 'ps')).stdout).toContain('sleep 4242'));
    client.socket.terminate();
    await eventually(async () => expect((await harness.exec(containerId, 'ps')).stdout).not.toContain('sleep 4242'));
  });

  test('an address is good for one connection, and other protocols are refused', async () => {
    const url = await exec(['true']);
    await new Client(url, 'v5.channel.k8s.io').closed;
    await expect(new Client(url, 'v5.channel.k8s.io').closed).rejects.toThrow('404');
    await expect(new Client(await exec(['true']), 'v9.channel.k8s.io').closed).rejects.toThrow('400');
  });

  test('attach shows new output, takes input and ends with success however the container ends', async () => {
    const { containerId: attached } = await harness.runPod('attached', {
      command: ['sh', '-c', 'echo before; while read line; do [ "$line" = end ] && exit 6; echo "got $line"; done'],
      stdin: true,
    });
    await harness.logWith('attached', 'before');
    const request = { containerId: attached, stdin: true, tty: false, stdout: true, stderr: true, auditRequestId: '' };
    const { url } = await call(harness.runtime, harness.runtime.attach, request);
    const client = new Client(url, 'v5.channel.k8s.io');
    await client.opened();
    client.send(0, 'one\n');
    await eventually(() => expect(client.output.get(1)).toBe('got one\n'));
    client.send(0, 'end\n');
    await client.closed;
    expect(client.status()).toMatchObject({ status: 'Success' });
  });
});
