import http from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { refuseUpgrade } from './refuse-upgrade';

test('an answer 101 that was not asked for is an error of the request', async () => {
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n'),
    );
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const answer = new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port }, resolve);
    request.on('error', reject);
    refuseUpgrade(request);
  });
  await expect(answer).rejects.toThrow('unexpected answer 101 Switching Protocols');
  // Its connection has ended too, or this would not.
  await new Promise(resolve => server.close(resolve));
});
