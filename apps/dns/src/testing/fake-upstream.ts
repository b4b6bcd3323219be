import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { freePort } from '@naru/testing';
import { decode, encode, type Packet } from 'dns-packet';

/** Undefined: no answer at all. */
export type Script = (question: { name: string; type: string }, by: 'udp' | 'tcp') => Packet | undefined;

export interface FakeUpstream {
  address: string;
  /** Names asked so far. */
  asked: string[];
  script: Script;
  close(): Promise<void>;
}

/** A DNS server on loopback that says what the test wants, by UDP and TCP. */
export async function fakeUpstream(script: Script): Promise<FakeUpstream> {
  const udp = createSocket('udp4');
  const answer = (message: Buffer, by: 'udp' | 'tcp'): Buffer | undefined => {
    const query = decode(message);
    const question = query.questions?.[0];
    if (!question) return undefined;
    upstream.asked.push(question.name);
    const reply = upstream.script(question, by);
    return reply && encode({ id: query.id ?? 0, type: 'response', questions: [question], ...reply });
  };
  udp.on('message', (message, from) => {
    const reply = answer(message, 'udp');
    if (reply) udp.send(reply, from.port, from.address);
  });
  const tcp = createServer(socket => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const reply = answer(chunk.subarray(2), 'tcp');
      if (!reply) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(reply.length);
      socket.write(Buffer.concat([length, reply]));
    });
  });
  // One that the kernel chose for TCP may be taken for UDP.
  const port = await freePort();
  await new Promise<void>(resolve => tcp.listen(port, '127.0.0.1', resolve));
  await new Promise<void>(resolve => udp.bind(port, '127.0.0.1', resolve));
  const upstream: FakeUpstream = {
    address: `127.0.0.1:${port}`,
    asked: [],
    script,
    async close() {
      await new Promise<void>(resolve => udp.close(() => resolve()));
      await new Promise<void>(resolve => tcp.close(() => resolve()));
    },
  };
  return upstream;
}
