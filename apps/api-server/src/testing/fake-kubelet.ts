import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import type { TestServer } from './test-server';

/** Addresses of the test's pods. Nothing is sent there: the kubelet of the test connects to loopback instead. */
export const podRange = '10.99.7.0/24';
export const podIP = '10.99.7.9';

export interface FakeKubelet {
  port: number;
  /** ADDRESS:PORT of each connection that was asked for. */
  dialled: string[];
  close(): void;
}

/** A node whose kubelet connects to any port of any pod, at loopback; port 9 is one where nobody listens. */
export async function startFakeKubelet(
  api: TestServer,
  answer: RequestListener = (_, response) => void response.writeHead(404).end(),
): Promise<FakeKubelet> {
  const { certificate: cert, key } = api.serving;
  const server = https.createServer({ cert, key, ca: readFileSync(api.files.ca), requestCert: true }, answer);
  const dialled: string[] = [];
  server.on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
    const [, , address = '', port = ''] = (request.url ?? '').split('/');
    dialled.push(`${address}:${port}`);
    if (port === '9') {
      const message = `dial tcp ${address}:9: connect: connection refused`;
      socket.end(`HTTP/1.1 503 No\r\nconnection: close\r\n\r\n${JSON.stringify({ message })}`);
      return;
    }
    const pod = net.connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
      socket.pipe(pod).pipe(socket);
    });
    pod.on('error', () => socket.destroy());
    socket.on('error', () => pod.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await api.call('POST', '/api/v1/nodes', {
    metadata: { name: 'n' },
    spec: { podCIDR: podRange, podCIDRs: [podRange] },
  });
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  };
  const merge = { headers: { 'content-type': 'application/merge-patch+json' } };
  await api.call('PATCH', '/api/v1/nodes/n/status', { status }, merge);
  return {
    port,
    dialled,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
