import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { freePort } from '@naru/testing';
import { forwardInto } from './forward-session';

/** One end of a connection, with what has come to it. */
function stream(): { data: Duplex; input: PassThrough; output: PassThrough } {
  const [input, output] = [new PassThrough(), new PassThrough()];
  return { data: Duplex.from({ readable: input, writable: output }), input, output };
}

test('a server that closes after its answer ends the connection for the client at once', async () => {
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    socket.once('data', question => socket.end(`answer to ${String(question)}`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { data, input, output } = stream();
  const done = forwardInto(undefined)((server.address() as AddressInfo).port, data);
  // The client goes on listening: it does not close its side before it has heard the end.
  input.write('a question');
  expect((await output.toArray()).join('')).toBe('answer to a question');
  input.end();
  await done;
  server.close();
});

test('a port where nobody listens is told as such', async () => {
  await expect(forwardInto(undefined)(await freePort(), stream().data)).rejects.toThrow('connection refused');
});
