import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { CommandRunner } from '../command';
import { ipFamilies, isIpv6, type IpFamily } from '../desired/ip-family';
import { labAddresses } from './lab-addresses';
import { PlaceAgent, patienceMs, type HeldConnection } from './place-agent';
import { Shells } from '../shells';

const cniBinDir = '/usr/lib/cni';

/** A network namespace that the lab made. */
export interface Place {
  namespace: string;
  /** Of the family that the lab is asked by now. */
  readonly ip: string;
  readonly ipv6: string;
  /** All, in the order in which they were given. */
  ips: readonly string[];
  run: CommandRunner;
}

export interface LabNode extends Place {
  name: string;
  /** The pod network's. */
  ipv4: string;
  /** This node's own files: its CNI configuration and state. */
  dir: string;
}

export interface AskOptions {
  protocol?: 'tcp' | 'udp';
  /** Of UDP. */
  sourcePort?: number;
  /** Of TCP: the address to ask from, when it is not to be the kernel's choice. */
  localAddress?: string;
  /** Of TCP: for the connection; the answer has more time. For those who ask in vain, and for those who ask again and again. */
  timeoutMs?: number;
}

interface CniPlugin {
  type: string;
  [key: string]: unknown;
}

/**
 * Nodes and pods as network namespaces, joined by a bridge in a namespace of its own: nothing of it is in the machine's
 * own network, and `close` removes it all.
 */
export class NetworkLab {
  readonly nodes: LabNode[] = [];
  readonly dir = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-kube-proxy-'));
  private readonly id = `nkp${randomBytes(3).toString('hex')}`;
  private readonly shells: Shells[] = [];
  private readonly host = this.shell([]);
  private readonly namespaces: string[] = [];
  private readonly runners = new Map<string, CommandRunner>();
  private readonly agents = new Map<string, PlaceAgent>();
  private pods = 0;

  /** All places have addresses of both families; `family` is the one that they are asked by. */
  constructor(public family: IpFamily = 'IPv4') {}

  /** `count` nodes 192.168.77.11, .12, ... and a host outside, 192.168.77.1, which is also their default gateway. */
  static async create(count: number, family?: IpFamily): Promise<NetworkLab> {
    const lab = new NetworkLab(family);
    try {
      await lab.addNodes(count);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  private async addNodes(count: number): Promise<void> {
    const [v4, v6] = [labAddresses.IPv4, labAddresses.IPv6];
    const fabric = await this.makeNamespace('fabric');
    await fabric(
      'ip',
      ['-batch', '-'],
      `link add br0 type bridge\nlink set br0 up\naddr add ${v4.outside}/24 dev br0\naddr add ${v6.outside}/64 dev br0 nodad\n`,
    );
    for (let index = 1; index <= count; index++) {
      const [ipv4, ipv6] = [v4.host(10 + index), v6.host(10 + index)];
      const name = `node-${index}`;
      const run = await this.makeNamespace(name);
      const namespace = `${this.id}-${name}`;
      await fabric(
        'ip',
        ['-batch', '-'],
        `link add v${index} type veth peer name eth0 netns ${namespace}\nlink set v${index} master br0 up\n`,
      );
      await run(
        'ip',
        ['-batch', '-'],
        `addr add ${ipv4}/24 dev eth0
addr add ${ipv6}/64 dev eth0 nodad
link set eth0 up
route add default via ${v4.outside}
route add default via ${v6.outside}
`,
      );
      const dir = path.join(this.dir, name);
      fs.mkdirSync(path.join(dir, 'net.d'), { recursive: true });
      this.nodes.push(Object.assign(this.place(namespace, [ipv4, ipv6], run), { ipv4, name, dir }));
    }
  }

  node(index: number): LabNode {
    const node = this.nodes[index - 1];
    if (!node) throw new Error(`the lab has no node ${index}`);
    return node;
  }

  /** The host outside the cluster. */
  get outside(): Place {
    const namespace = `${this.id}-fabric`;
    const ips = ipFamilies.map(family => labAddresses[family].outside);
    return this.place(namespace, ips, this.inside(namespace));
  }

  /** A pod wired by the plugins of the node's configuration list, as a runtime would. */
  async addPod(node: LabNode, runtimeConfig: Record<string, unknown> = {}): Promise<Place> {
    const name = `pod-${++this.pods}`;
    const run = await this.makeNamespace(name);
    const namespace = `${this.id}-${name}`;
    const { plugins, ...list } = JSON.parse(
      fs.readFileSync(path.join(node.dir, 'net.d', '10-naru.conflist'), 'utf8'),
    ) as {
      plugins: CniPlugin[];
    };
    let prevResult: unknown;
    for (const plugin of plugins) {
      const env = [
        'CNI_COMMAND=ADD',
        `CNI_CONTAINERID=${namespace}`,
        `CNI_NETNS=/run/netns/${namespace}`,
        'CNI_IFNAME=eth0',
        `CNI_PATH=${cniBinDir}`,
      ];
      const config = { ...list, ...plugin, runtimeConfig, ...(prevResult ? { prevResult } : {}) };
      const answer = await node.run('env', [...env, path.join(cniBinDir, plugin.type)], JSON.stringify(config));
      prevResult = JSON.parse(answer);
    }
    const { ips } = prevResult as { ips: { address: string }[] };
    return this.place(
      namespace,
      ips.map(({ address }) => address.replace(/\/\d+$/, '')),
      run,
    );
  }

  private place(namespace: string, ips: readonly string[], run: CommandRunner): Place {
    const of = (family: IpFamily): string => ips.find(ip => isIpv6(ip) === (family === 'IPv6')) ?? '';
    const current = (): string => of(this.family);
    return {
      namespace,
      ips,
      run,
      ipv6: of('IPv6'),
      get ip() {
        return current();
      },
    };
  }

  /** Answers every TCP connection and UDP datagram with `NAME CLIENT_ADDRESS`. */
  serve(place: Place, port: number, name: string): Promise<void> {
    return this.agent(place).serve(port, name);
  }

  /** Says its name on each connection and keeps it open; says each line back. */
  serveHolding(place: Place, port: number, name: string): Promise<void> {
    return this.agent(place).serveHolding(port, name);
  }

  /** Opens a connection to a holding server and keeps it. */
  hold(from: Place, ip: string, port: number): Promise<HeldConnection> {
    return this.agent(from).hold(ip, port);
  }

  /** Connects and answers who served and from which address it thought that we came. Fails when refused or lost. */
  async ask(
    from: Place,
    ip: string,
    port: number,
    options: AskOptions = {},
  ): Promise<{ name: string; client: string }> {
    const { protocol = 'tcp', sourcePort, localAddress, timeoutMs = patienceMs } = options;
    const agent = this.agent(from);
    const text =
      protocol === 'tcp'
        ? await agent.askByTcp({ ip, port, timeoutMs, ...(localAddress ? { localAddress } : {}) })
        : await agent.askByUdp({ ip, port, timeoutMs, ...(sourcePort ? { sourcePort } : {}) });
    const [name, client] = text.split(' ');
    if (!name || !client) throw new Error(`${ip}:${port} answered ${text}`);
    return { name, client };
  }

  /** Asks `times` times, at once, and answers the names that were heard, sorted. */
  async names(from: Place, ip: string, port: number, times: number): Promise<string[]> {
    const ask = () => this.ask(from, ip, port);
    const answers = await Promise.all(Array.from({ length: times }, ask));
    return [...new Set(answers.map(answer => answer.name))].sort();
  }

  async close(): Promise<void> {
    await Promise.all([...this.agents.values()].map(agent => agent.stop()));
    for (const namespace of this.namespaces.reverse()) {
      // The listeners' children live in there; the namespace would outlive its name with them.
      const pids = await this.host('ip', ['netns', 'pids', namespace]).catch(() => '');
      for (const pid of pids.split('\n').filter(Boolean)) {
        try {
          process.kill(Number(pid), 'SIGKILL');
        } catch {
          // It has ended by itself.
        }
      }
      await this.host('ip', ['netns', 'delete', namespace]);
    }
    for (const shell of this.shells) shell.close();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  private async makeNamespace(name: string): Promise<CommandRunner> {
    const namespace = `${this.id}-${name}`;
    await this.host('ip', ['netns', 'add', namespace]);
    this.namespaces.push(namespace);
    const run = this.inside(namespace);
    // No waiting for others who might have an address already. And no heed to a router's redirects: a node sends them for an
    // address of its own link, and who keeps one goes around the node from there on.
    const quiet = ['ipv6/conf/$f/accept_dad', 'ipv6/conf/$f/accept_redirects', 'ipv4/conf/$f/accept_redirects'];
    const settings = quiet.map(name => `echo 0 > /proc/sys/net/${name}`).join('; ');
    await run('sh', ['-c', `for f in all default; do ${settings}; done; ip link set lo up`]);
    return run;
  }

  private agent({ namespace }: Place): PlaceAgent {
    const agent = this.agents.get(namespace) ?? new PlaceAgent(namespace);
    this.agents.set(namespace, agent);
    return agent;
  }

  private inside(namespace: string): CommandRunner {
    const known = this.runners.get(namespace) ?? this.shell(['ip', 'netns', 'exec', namespace]);
    this.runners.set(namespace, known);
    return known;
  }

  private shell(prefix: readonly string[]): CommandRunner {
    const shell = new Shells({ prefix, timeoutMs: 90_000 });
    this.shells.push(shell);
    return shell.run;
  }
}
