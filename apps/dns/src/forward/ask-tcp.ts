import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { readAnswer, type ReadAnswer } from '../wire/read-answer';
import { writeQuestion, type Question } from './question';
import type { ServerAddress } from './server-address';

/** Asks one question over a TCP connection of its own: answers that do not fit into a datagram. */
export function askTcp(server: ServerAddress, question: Question, timeoutMs: number): Promise<ReadAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.host, port: server.port });
    const id = randomInt(65_536);
    let received = Buffer.alloc(0);
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(`no answer by TCP within ${timeoutMs} ms`)), timeoutMs);
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the connection was closed without an answer')));
    socket.on('connect', () => {
      const packet = writeQuestion(id, question);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      socket.write(Buffer.concat([length, packet]));
    });
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = readAnswer(received.subarray(2, 2 + received.readUInt16BE(0)));
      if (answer?.id !== id || answer.name !== question.name || answer.type !== question.type)
        return fail(new Error('the answer is malformed'));
      end();
      resolve(answer);
    });
  });
}
