import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { RECURSION_DESIRED, decode, encode, type Packet } from 'dns-packet';

export interface AskOptions {
  /** Absent: no EDNS. */
  udpSize?: number;
  id?: number;
}

export function query(name: string, type: string, { udpSize, id = 4711 }: AskOptions = {}): Buffer {
  return encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name, type }],
    additionals: udpSize === undefined ? [] : [{ type: 'OPT', name: '.', udpPayloadSize: udpSize, flags: 0 }],
  });
}

/** Sends a packet by UDP; rejects when nothing comes back in time. */
export function sendUdp(port: number, packet: Buffer, timeoutMs = 60_000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error('no answer'));
    }, timeoutMs);
    socket.on('message', message => {
      clearTimeout(timer);
      socket.close();
      resolve(message);
    });
    socket.send(packet, port, '127.0.0.1');
  });
}

/** Sends bytes by TCP and collects `count` messages. */
export function sendTcp(port: number, bytes: Buffer, count: number): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let received = Buffer.alloc(0);
    const messages: Buffer[] = [];
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${messages.length} messages`)));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        messages.push(received.subarray(2, end));
        received = received.subarray(end);
      }
      if (messages.length < count) return;
      resolve(messages);
      socket.destroy();
    });
  });
}

export function frame(packet: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(packet.length);
  return Buffer.concat([length, packet]);
}

export async function ask(port: number, name: string, type = 'A', options: AskOptions = {}): Promise<Packet> {
  return decode(await sendUdp(port, query(name, type, options)));
}
