import type { Endpoints, EndpointSlice, Node, Pod, PodSpec, Service } from '@naru/api';
import { eventually } from '@naru/testing';
import { api, exec, makeNamespace, patienceMs, type Known } from './api';
import { Following } from './following';
import { image } from './node-pod-cases';

export interface Worker {
  name: string;
  ip: string;
}

type ServiceSpec = NonNullable<Service['spec']>;

/** A namespace with pods that speak to each other: what the tests of the network begin with. */
export class Network {
  private constructor(
    readonly namespace: string,
    readonly name: string,
    readonly pods: Following<Pod>,
    readonly workers: Worker[],
  ) {}

  /** With a pod "client", by which others are asked, and "node-client" on the network of the first node. */
  static async create(name: string): Promise<Network> {
    const namespace = await makeNamespace(name);
    const nodes = (await api.list<Node>('/api/v1/nodes')).items;
    const workers = nodes.map(({ metadata, status }) => ({
      name: metadata.name,
      ip: status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '',
    }));
    const pods = await Following.start<Pod>(`${namespace}/pods`);
    const network = new Network(namespace, name, pods, workers);
    await Promise.all([
      network.pod('client', { args: ['--http', '8080'] }),
      network.pod('node-client', { args: ['--http', '18099'] }, { nodeName: workers[0]!.name, hostNetwork: true }),
    ]);
    return network;
  }

  async end(): Promise<void> {
    this.pods.stop();
    await api.remove(this.namespace);
  }

  /** A pod that serves, by default HTTP on 8080 and UDP on 8081, when it is ready. */
  async pod(
    name: string,
    container: Partial<PodSpec['containers'][number]> = {},
    spec: Partial<PodSpec> = {},
    labels: Record<string, string> = {},
  ): Promise<Known<Pod>> {
    const args = ['--http', '8080', '--udp', '8081'];
    const port = Number(container.args?.[1] ?? 8080);
    const readinessProbe = { tcpSocket: { port }, periodSeconds: 1 };
    await api.create<Pod>(`${this.namespace}/pods`, {
      metadata: { name, labels },
      spec: {
        terminationGracePeriodSeconds: 1,
        ...spec,
        containers: [{ name: 'main', image, args, readinessProbe, ...container }],
      },
    });
    return this.pods.until(name, ({ status }) => status?.containerStatuses?.[0]?.ready);
  }

  async deletePod(name: string): Promise<void> {
    await api.remove(`${this.namespace}/pods/${name}`, { gracePeriodSeconds: 1 });
    await this.pods.untilGone(name);
  }

  service(name: string, spec: Partial<ServiceSpec>): Promise<Known<Service>> {
    return api.create<Service>(`${this.namespace}/services`, { metadata: { name }, spec });
  }

  changeService(name: string, change: (spec: ServiceSpec) => void): Promise<Known<Service>> {
    return api.change<Service>(`${this.namespace}/services/${name}`, ({ spec }) => change(spec!));
  }

  endpoints(name: string): Promise<Known<Endpoints>> {
    return api.get<Endpoints>(`${this.namespace}/endpoints/${name}`);
  }

  async slices(service: string): Promise<Known<EndpointSlice>[]> {
    const base = this.namespace.replace('/api/v1', '/apis/discovery.k8s.io/v1');
    return (
      await api.list<EndpointSlice>(`${base}/endpointslices?labelSelector=kubernetes.io/service-name%3D${service}`)
    ).items;
  }

  /** What a server says to a pod that asks it so often: each time the name of its pod, or "error: ...". */
  async ask(
    from: 'client' | 'node-client',
    host: string,
    port: number,
    protocol: 'http' | 'udp' = 'http',
    times = 1,
  ): Promise<string[]> {
    const at = from === 'client' ? 8080 : 18099;
    const query = new URLSearchParams({ host, port: String(port), protocol, times: String(times) });
    return JSON.parse(await api.text(`${this.namespace}/pods/${from}:${at}/proxy/dial?${query}`)) as string[];
  }

  /** Waits until many questions at once are answered by exactly these pods. */
  async answeredBy(
    pods: string[],
    host: string,
    port: number,
    protocol: 'http' | 'udp' = 'http',
    from: 'client' | 'node-client' = 'client',
  ): Promise<void> {
    const times = 12 * pods.length;
    await eventually(
      async () => {
        const answers = await this.ask(from, host, port, protocol, times);
        expect([...new Set(answers)].sort()).toEqual([...pods].sort());
      },
      patienceMs,
      200,
    );
  }

  async refuses(host: string, port: number, protocol: 'http' | 'udp' = 'http'): Promise<void> {
    await eventually(
      async () => expect((await this.ask('client', host, port, protocol))[0]).toMatch(/^error: /),
      patienceMs,
      200,
    );
  }

  /** The Service's port is served by these pods: by name, by its cluster address and by the node port of every node. */
  async reaches({ metadata, spec }: Known<Service>, pods: string[]): Promise<void> {
    const [{ port = 0, nodePort } = { port: 0 }] = spec?.ports ?? [];
    await this.answeredBy(pods, metadata.name, port);
    await this.answeredBy(pods, spec?.clusterIP ?? '', port);
    if (nodePort) for (const { ip } of this.workers) await this.answeredBy(pods, ip, nodePort);
  }

  /** What nslookup prints in the client. */
  lookup(name: string, type = 'A'): Promise<string> {
    return exec(`${this.namespace}/pods/client`, ['nslookup', `-type=${type}`, name]);
  }
}
