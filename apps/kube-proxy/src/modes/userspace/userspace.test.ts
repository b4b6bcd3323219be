import dgram from 'node:dgram';
import net from 'node:net';
import { once } from 'node:events';
import { silentLogger } from '@naru/foundation';
import { eventually, freePort } from '@naru/testing';
import type { Endpoint, ServicePort } from '../../desired/service-port';
import { aPort } from '../../testing/ports';
import type { RuleConfig, RuleSync } from '../mode';
import { Balancer } from './balancer';
import { userspace } from '.';

/** On loopback, where every address of 127.0.0.0/8 is this machine's. */
const clusterIp = '127.96.0.10';

function endpointAt(port: number): Endpoint {
  return { address: '127.0.0.1', port, local: true };
}

/** Says its name on each connection or datagram and keeps the connection open. */
class NamedServer {
  readonly sockets = new Set<net.Socket>();
  private constructor(
    readonly name: string,
    private readonly tcp: net.Server,
    private readonly udp: dgram.Socket,
    readonly endpoint: Endpoint,
  ) {}

  static async start(name: string): Promise<NamedServer> {
    // One that the kernel chose for TCP may be taken for UDP.
    const port = await freePort();
    const tcp = net.createServer().listen(port, '127.0.0.1');
    await once(tcp, 'listening');
    const udp = dgram.createSocket('udp4').bind(port, '127.0.0.1');
    await once(udp, 'listening');
    const server = new NamedServer(name, tcp, udp, endpointAt(port));
    tcp.on('connection', socket => {
      server.sockets.add(socket);
      socket.on('error', () => undefined).resume();
      socket.write(`${name}\n`);
    });
    udp.on('message', (_, from) => udp.send(name, from.port, from.address));
    return server;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.udp.close();
    await new Promise(resolve => this.tcp.close(resolve));
  }
}

describe('the mode userspace', () => {
  let servers: NamedServer[];
  let port: number;
  let rules: RuleSync;
  const clients: net.Socket[] = [];
  const run = (): Promise<string> => Promise.resolve('[]');

  beforeEach(async () => {
    servers = await Promise.all(['a', 'b', 'c'].map(name => NamedServer.start(name)));
    port = await freePort();
    build({});
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await rules.cleanup();
    await Promise.all(servers.map(server => server.close()));
  });

  function build(config: Pick<RuleConfig, 'ipvsScheduler'>): void {
    rules = userspace.build({
      run,
      config: { family: 'IPv4', clusterCidr: undefined, ...config },
      logger: silentLogger,
    });
  }

  const web = (overrides: Partial<ServicePort> = {}): ServicePort =>
    aPort({ clusterIp, port, clusterEndpoints: servers.map(({ endpoint }) => endpoint), ...overrides });
  const sync = (...ports: ServicePort[]): Promise<void> => rules.sync({ full: true, ports: () => ports });

  /** Connects, keeps the connection, and answers who said a name. */
  async function connect(host = clusterIp): Promise<{ name: string; socket: net.Socket }> {
    const socket = net.connect({ host, port });
    clients.push(socket);
    const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
    return { name: chunk.toString().trim(), socket };
  }

  test('connections go to the endpoints in turn, and nobody has to be told of a change', async () => {
    await sync(web());
    const names = [];
    for (let time = 0; time < 6; time++) names.push((await connect()).name);
    expect(names.sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
    const held = await connect();
    const before = web();
    const after = web({ clusterEndpoints: [servers[1]!.endpoint] });
    await rules.sync({ full: false, changes: [{ before, after }] });
    expect((await connect()).name).toBe('b');
    expect(held.socket.destroyed).toBe(false);
    await rules.sync({ full: false, changes: [{ before: after, after: undefined }] });
    await expect(connect()).rejects.toThrow(/ECONNREFUSED/);
  });

  test('with lc a connection goes where the fewest are', async () => {
    build({ ipvsScheduler: 'lc' });
    await sync(web());
    const three = [await connect(), await connect(), await connect()];
    expect(three.map(({ name }) => name).sort()).toEqual(['a', 'b', 'c']);
    const [, freed] = three;
    // Closed by the proxy, too: it hears of the end of its own connection before it ends this one.
    const closed = once(freed!.socket, 'close');
    freed!.socket.end();
    await closed;
    expect((await connect()).name).toBe(freed!.name);
  });

  test('an endpoint that refuses is followed by the next, and without any the connection is reset', async () => {
    const dead = endpointAt(await freePort());
    await sync(web({ clusterEndpoints: [dead, servers[0]!.endpoint] }));
    for (let time = 0; time < 3; time++) expect((await connect()).name).toBe('a');
    await sync(web({ clusterEndpoints: [] }));
    await expect(connect()).rejects.toThrow(/ECONNRESET|socket hang up/);
  });

  test('session affinity keeps a client on its endpoint', async () => {
    await sync(web({ affinitySeconds: 10_800 }));
    const names = new Set();
    for (let time = 0; time < 5; time++) names.add((await connect()).name);
    expect(names.size).toBe(1);
  });

  test('UDP keeps a client on its endpoint until that has gone', async () => {
    await sync(web({ protocol: 'udp' }));
    const client = dgram.createSocket('udp4');
    const ask = async (): Promise<string> => {
      client.send('who', port, clusterIp);
      const [answer] = (await once(client, 'message', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
      return answer.toString();
    };
    const first = await ask();
    expect(await ask()).toBe(first);
    const others = servers.filter(({ name }) => name !== first).map(({ endpoint }) => endpoint);
    await sync(web({ protocol: 'udp', clusterEndpoints: others }));
    expect(await ask()).not.toBe(first);
    client.close();
  });

  test("a load balancer's address answers the source ranges only", async () => {
    const guarded = { loadBalancerIps: ['127.96.0.20'], sourceRanges: ['10.0.0.0/8'] };
    await sync(web(guarded));
    await expect(connect('127.96.0.20')).rejects.toThrow(/ECONNRESET/);
    await sync(web({ ...guarded, sourceRanges: ['127.0.0.0/8'] }));
    expect(['a', 'b', 'c']).toContain((await connect('127.96.0.20')).name);
  });

  test('a port that somebody has is no hindrance for others, and is taken soon after it is free', async () => {
    const other = net.createServer().listen(port, clusterIp);
    await once(other, 'listening');
    await sync(web(), web({ name: 'default/other:/tcp', clusterIp: '127.96.0.30' }));
    expect(['a', 'b', 'c']).toContain((await connect('127.96.0.30')).name);
    const gone = { name: 'default/gone:/tcp', clusterIp: '127.96.0.40' };
    const theirs = net.createServer().listen(port, gone.clusterIp);
    await once(theirs, 'listening');
    await sync(web(), web(gone));
    // Nobody tells of a change: it is tried again soon, for as long as the Service is there.
    await new Promise(resolve => other.close(resolve));
    await eventually(async () => expect(['a', 'b', 'c']).toContain((await connect()).name));
    await sync(web());
    await new Promise(resolve => theirs.close(resolve));
    await expect(connect(gone.clusterIp)).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('the six algorithms', () => {
  const endpoints = [1, 2, 3].map(endpointAt);
  const start = (scheduler: ConstructorParameters<typeof Balancer>[0]['scheduler']): Balancer => {
    const balancer = new Balancer({ scheduler, address: '10.96.0.1', now: () => 0 });
    balancer.set(endpoints, undefined);
    return balancer;
  };
  const ports = (balancer: Balancer, clients: string[]): (number | undefined)[] =>
    clients.map(client => balancer.choose(client)?.endpoint.port);

  test('rr takes turns, dh goes by the address asked, sh by who asks', () => {
    expect(ports(start('rr'), ['x', 'x', 'x', 'x'])).toEqual([1, 2, 3, 1]);
    expect(new Set(ports(start('dh'), ['u', 'v', 'w', 'x', 'y', 'z'])).size).toBe(1);
    const clients = Array.from({ length: 20 }, (_, index) => `10.0.0.${index}`);
    expect(ports(start('sh'), clients)).toEqual(ports(start('sh'), clients));
    expect(new Set(ports(start('sh'), clients)).size).toBe(3);
  });

  test('affinity lasts as long as it says since the client was last seen', () => {
    let now = 0;
    const balancer = new Balancer({ scheduler: 'rr', address: '10.96.0.1', now: () => now });
    balancer.set(endpoints, 10);
    const ask = (): number | undefined => balancer.choose('x')?.endpoint.port;
    const first = ask();
    for (now of [9_000, 18_000]) expect(ask()).toBe(first);
    now = 28_001;
    expect(ask()).not.toBe(first);
  });

  test.each(['lc', 'sed', 'nq'] as const)('%s goes where a connection has ended', scheduler => {
    const balancer = start(scheduler);
    const leases = ['x', 'x', 'x'].map(client => balancer.choose(client));
    expect(leases.map(lease => lease?.endpoint.port).sort()).toEqual([1, 2, 3]);
    leases[1]?.release();
    expect(balancer.choose('x')?.endpoint).toEqual(leases[1]?.endpoint);
  });
});
