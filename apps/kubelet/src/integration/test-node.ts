import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import type { Container, Pod, Stored } from '@naru/api';
import { coreEvents, pods, services } from '@naru/api';
import { createLogger, createMetrics, parseFlags, silentLogger } from '@naru/foundation';
import { Authority, createAuthority, type CertificateAndKey } from '@naru/pki';
import {
  MemoryObjects,
  builtProgram,
  busyboxImage,
  claimNumber,
  eventually,
  writeOciLayout,
  type ClaimedNumber,
} from '@naru/testing';
import { CgroupTree } from '../cgroups/cgroup-tree';
import { kubeletFlags } from '../config/flags';
import { effectiveConfiguration } from '../config/kubelet-configuration';
import { Containerd } from './containerd';
import { CriClient } from '../cri/cri-client';
import { Kubelet } from '../kubelet';

export const image = 'docker.io/library/busybox:test';
export const nodeName = 'test-node';

export interface Answer {
  code: number;
  text: string;
  body: Buffer;
}

export const forever = 'trap "exit 0" TERM; while :; do sleep 1 & wait; done';

/** A container of the tests' image that runs a script. */
export const shell = (script: string, more: Partial<Container> = {}): Container => ({
  name: 'main',
  image,
  imagePullPolicy: 'IfNotPresent',
  command: ['/bin/sh', '-c', script],
  ...more,
});

/** Of probes: often, and slow machines are waited for. */
export const patient = { periodSeconds: 1, timeoutSeconds: 60 };

/** A container that is Ready when it heeds its signals: until its shell has set its traps, the first process of a container is spared them. */
export const heeding = (traps: string, more: Partial<Container> = {}): Container =>
  shell(`${traps}; touch /tmp/heeds; while :; do sleep 1 & wait; done`, {
    readinessProbe: { exec: { command: ['test', '-e', '/tmp/heeds'] }, ...patient },
    ...more,
  });

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function mountDisk(directory: string, bytes: number): void {
  fs.mkdirSync(directory, { recursive: true });
  run('mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'kubelet-test', directory);
}

/** Why these tests cannot run here; undefined when they can. In CI nothing is skipped: a missing right fails there. */
export function whyNot(): string | undefined {
  const missing = process.getuid?.() !== 0 ? 'root is needed for containers' : undefined;
  if (missing && process.env['CI'] === 'true') throw new Error(missing);
  return missing;
}

/**
 * A node for tests: our real runtime in a network namespace of its own, joined to this one by a veth, and an API in
 * memory. Whatever it makes is gone after `close`.
 */
export class TestNode {
  readonly api = new MemoryObjects();
  private readonly id = randomBytes(3).toString('hex');
  private readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kubelet-node-'));
  private readonly namespace = `kubelet-${this.id}`;
  private readonly cgroup = `/kubelet-test-${this.id}`;
  private runtimeProcess: ChildProcess | undefined;
  private readonly kubelets = new Set<Kubelet>();

  private containerd: Containerd | undefined;

  /** Another network each, so that several tests do not meet. */
  private constructor(
    private readonly network: ClaimedNumber,
    private readonly cniTimeoutSeconds: number | undefined,
  ) {}

  /** With our own runtime, or with Debian's containerd. */
  static async create(
    runtime: 'naru' | 'containerd' = 'naru',
    { imageBytes, cniTimeoutSeconds }: { imageBytes?: number; cniTimeoutSeconds?: number } = {},
  ): Promise<TestNode> {
    const node = new TestNode(await claimNumber(), cniTimeoutSeconds);
    // A disk of so many bytes for images alone.
    if (imageBytes !== undefined) mountDisk(node.file('images'), imageBytes);
    fs.chmodSync(node.directory, 0o711); // whoever is root in a pod's user namespace passes through it
    if (runtime === 'containerd') {
      node.containerd = new Containerd({
        directory: node.file('containerd'),
        netns: `/run/netns/${node.namespace}`,
        streamAddress: node.addresses.node,
        cniConfDir: node.file('cni'),
        image,
      });
    }
    try {
      await node.setUp();
    } catch (error) {
      await node.close();
      throw error;
    }
    return node;
  }

  get endpoint(): string {
    return this.containerd ? `unix://${this.containerd.socket}` : `unix://${this.directory}/runtime.sock`;
  }

  get rootDir(): string {
    return path.join(this.directory, 'kubelet');
  }

  file(name: string): string {
    return path.join(this.directory, name);
  }

  /** Where something is mounted in its own directory: other tests mount beside it on the same machine. */
  mountPoints(): string[] {
    return fs
      .readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map(line => line.split(' ')[4] ?? '')
      .filter(place => place.startsWith(`${this.directory}/`));
  }

  /** As a process's link /proc/PID/ns/net names it. */
  get networkNamespace(): string {
    return `net:[${fs.statSync(`/run/netns/${this.namespace}`).ino}]`;
  }

  private get addresses(): { host: string; node: string; pods: string } {
    const { value } = this.network;
    // From 10.90 to 10.99 there are clusters, which may run beside tests.
    const prefix = `10.${16 + (value < 74 ? value : value + 10)}`;
    return { host: `${prefix}.0.1`, node: `${prefix}.0.2`, pods: `${prefix}.1.0/24` };
  }

  private async setUp(): Promise<void> {
    this.setUpNetwork();
    await this.setUpCertificates();
    if (this.containerd) await this.containerd.start();
    else await this.setUpRuntime();
    this.api.seed(services, {
      metadata: { name: 'kubernetes', namespace: 'default' },
      spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443 }] },
    });
  }

  private async setUpRuntime(): Promise<void> {
    await writeOciLayout(this.file('image'), busyboxImage(image));
    run('node', builtProgram('runtime'), 'load', '--image-store', this.file('images'), this.file('image'));
    await this.startRuntime();
  }

  /** Where a registry of this node can listen: its pulls come without TLS. */
  get registryAddress(): { host: string; port: number } {
    return { host: this.addresses.host, port: 5000 };
  }

  private setUpNetwork(): void {
    const { namespace, id } = this;
    const { host, node, pods: podRange } = this.addresses;
    run('ip', 'netns', 'add', namespace);
    run('ip', 'link', 'add', `kth${id}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    run('ip', 'address', 'add', `${host}/30`, 'dev', `kth${id}`);
    run('ip', 'link', 'set', `kth${id}`, 'up');
    run('ip', 'route', 'add', podRange, 'via', node);
    const inside = (...args: string[]): void => run('ip', '-n', namespace, ...args);
    inside('address', 'add', `${node}/30`, 'dev', 'eth0');
    inside('link', 'set', 'eth0', 'up');
    inside('link', 'set', 'lo', 'up');
    inside('route', 'add', 'default', 'via', host);
    run('ip', 'netns', 'exec', namespace, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    fs.mkdirSync(this.file('cni'));
    fs.mkdirSync(this.file('bin'));
    this.linkOciRuntime();
    this.writeNetwork();
    const { host: registry, port } = this.registryAddress;
    const registries = { [`${registry}:${port}`]: { plainHttp: true } };
    fs.writeFileSync(this.file('registries.json'), JSON.stringify({ registries }));
  }

  private async setUpCertificates(): Promise<void> {
    const ca = await createAuthority({ commonName: 'kubelet-test' });
    const authority = await Authority.load(ca);
    const serving = await authority.issue({
      subject: { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] },
      ipAddresses: ['127.0.0.1'],
      usages: ['server'],
    });
    const issue = (commonName: string): Promise<CertificateAndKey> =>
      authority.issue({ subject: { commonName }, usages: ['client'] });
    const [caller, stranger] = await Promise.all([issue('kube-apiserver'), issue('somebody')]);
    const files = { ca: ca.certificate, 'serving.crt': serving.certificate, 'serving.key': serving.key };
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(this.file(name), text);
    this.identities = {
      caller: { ca: ca.certificate, cert: caller.certificate, key: caller.key },
      stranger: { ca: ca.certificate, cert: stranger.certificate, key: stranger.key },
    };
  }

  identities!: Record<'caller' | 'stranger', { ca: string; cert: string; key: string }>;

  linkOciRuntime(): void {
    fs.symlinkSync(
      execFileSync('sh', ['-c', 'command -v runc || command -v crun']).toString().trim(),
      this.file('bin/oci'),
    );
  }

  /** Sets one plugin of the network up, or the bridge that works. */
  writeNetwork(type = 'bridge'): void {
    const bridge = {
      bridge: 'cni0',
      isDefaultGateway: true,
      ipam: { type: 'host-local', dataDir: this.file('ipam'), ranges: [[{ subnet: this.addresses.pods }]] },
    };
    const plugin = { type, ...(type === 'bridge' ? bridge : {}) };
    fs.writeFileSync(
      this.file('cni/10-test.conflist'),
      JSON.stringify({ cniVersion: '1.0.0', name: 'test', plugins: [plugin] }),
    );
  }

  async startRuntime(): Promise<void> {
    const log = fs.openSync(this.file('runtime.log'), 'a');
    const flags = [
      `--listen=${this.endpoint}`,
      `--root=${this.file('root')}`,
      `--state=${this.file('state')}`,
      `--image-store=${this.file('images')}`,
      `--cni-conf-dir=${this.file('cni')}`,
      `--cni-bin-dir=${this.file('bin')},/usr/lib/cni`,
      ...(this.cniTimeoutSeconds === undefined ? [] : [`--cni-timeout-seconds=${this.cniTimeoutSeconds}`]),
      `--cdi-spec-dirs=${this.file('cdi')}`,
      `--registry-config=${this.file('registries.json')}`,
      // By a name of its own, so that a test can take it away.
      `--oci-runtime=${this.file('bin/oci')}`,
      `--streaming-address=${this.addresses.node}:0`,
      '--health-address=127.0.0.1:0',
      `--cgroup-parent=${this.cgroup}`,
    ];
    const argv = [`--net=/run/netns/${this.namespace}`, 'node', builtProgram('runtime'), ...flags];
    this.runtimeProcess = spawn('nsenter', argv, { stdio: ['ignore', log, log] });
    const client = new CriClient(this.endpoint);
    await eventually(() => client.version()).finally(() => client.close());
  }

  async stopRuntime(): Promise<void> {
    const { runtimeProcess } = this;
    if (!runtimeProcess || runtimeProcess.exitCode !== null || runtimeProcess.signalCode !== null) return;
    await new Promise<void>(resolve => {
      runtimeProcess.once('exit', () => resolve());
      runtimeProcess.kill('SIGTERM');
    });
  }

  /** Puts the kubelet's files on a tmpfs of so many bytes, which is quickly full. */
  limitDisk(bytes: number): void {
    mountDisk(this.rootDir, bytes);
  }

  /** A file of one of this node's cgroups, by its name in version 1 or 2. */
  cgroupFile(name: string, controller: string, files: [one: string, two: string]): string {
    const { version } = CgroupTree.ofThisMachine().mounts;
    return fs
      .readFileSync(path.join(this.cgroupDirectory(name, controller), files[version - 1] as string), 'utf8')
      .trim();
  }

  cgroupDirectory(name: string, controller: string): string {
    return path.join(CgroupTree.ofThisMachine().mounts.controllers.get(controller) ?? '', this.cgroup, name);
  }

  podCgroupFile(uid: string, controller: string, file: string): string {
    return this.cgroupFile(`kubepods/besteffort/pod${uid}`, controller, [file, file]);
  }

  /** In place of /sys/devices/system: processors that this machine has not. */
  systemDevices: string | undefined;

  /** `api`: another one than this node's own, such as one that is away. */
  async startKubelet(more: string[] = [], api: MemoryObjects = this.api): Promise<Kubelet> {
    const flags = parseFlags(kubeletFlags, [
      '--api-server=unused',
      '--nats=unused',
      `--ca=${this.file('ca')}`,
      '--certificate=unused',
      '--key=unused',
      `--node-name=${nodeName}`,
      `--node-ip=${this.addresses.host}`,
      `--container-runtime-endpoint=${this.endpoint}`,
      `--root-dir=${this.rootDir}`,
      '--port=0',
      `--serving-certificate=${this.file('serving.crt')}`,
      `--serving-key=${this.file('serving.key')}`,
      `--cgroup-root=${this.cgroup}`,
      // Tests say nothing about the disk of the machine that they run on.
      '--eviction-hard=memory.available<1Mi',
      ...more,
    ]);
    const logger = process.env['LOG_LEVEL'] ? createLogger('kubelet') : silentLogger;
    const { configuration } = effectiveConfiguration(flags);
    const kubelet = await Kubelet.create({
      flags,
      configuration: { ...configuration, syncFrequency: '1s', httpCheckFrequency: '200ms' },
      evictionPeriodMs: 250,
      ...(this.systemDevices === undefined ? {} : { systemDevices: this.systemDevices }),
      client: api,
      informers: api.informers(),
      logger,
      metrics: createMetrics(),
    });
    this.kubelets.add(kubelet);
    await kubelet.start();
    return kubelet;
  }

  async stopKubelet(kubelet: Kubelet): Promise<void> {
    this.kubelets.delete(kubelet);
    await kubelet.stop();
  }

  /** GET on a kubelet's own API. */
  fetch(kubelet: Kubelet, place: string, who: 'caller' | 'stranger' | 'nobody' = 'caller'): Promise<Answer> {
    return this.following(kubelet, place, () => undefined, who);
  }

  /** A GET that tells as soon as something of its answer has come. */
  following(
    kubelet: Kubelet,
    place: string,
    heard: () => void,
    who: 'caller' | 'stranger' | 'nobody' = 'caller',
  ): Promise<Answer> {
    const identity = who === 'nobody' ? { ca: this.identities.caller.ca } : this.identities[who];
    const options = { ...identity, host: '127.0.0.1', port: kubelet.server.port, path: place, agent: false };
    return new Promise((resolve, reject) => {
      https
        .get(options, response => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => {
            chunks.push(chunk);
            heard();
          });
          response.on('end', () => {
            const body = Buffer.concat(chunks);
            resolve({ code: response.statusCode ?? 0, text: body.toString('utf8'), body });
          });
        })
        .on('error', reject);
    });
  }

  /** A pod on this node, as the scheduler would leave it. */
  create(name: string, spec: Partial<NonNullable<Pod['spec']>>, status?: Pod['status']): Promise<Stored<Pod>> {
    return this.api.create(pods, {
      metadata: { name, namespace: 'default' },
      spec: {
        nodeName,
        restartPolicy: 'Always',
        terminationGracePeriodSeconds: 1,
        tolerations: [{ operator: 'Exists' }],
        containers: [],
        ...spec,
      },
      ...(status ? { status } : {}),
    });
  }

  /** Waits until the events of such reasons have been written: they come when they come, whatever the status says. */
  untilTold(name: string, ...reasons: string[]): Promise<void> {
    return eventually(async () => {
      const told = (await this.events(name)).map(({ reason }) => reason);
      expect(told).toEqual(expect.arrayContaining(reasons));
    });
  }

  async events(name: string): Promise<{ reason: string; message: string }[]> {
    const { items } = await this.api.list(coreEvents, { namespace: 'default' });
    return items
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason = '', message = '' }) => ({ reason, message }));
  }

  /** Runs a command in a pod's container and answers with what it printed. */
  async exec(name: string, ...command: string[]): Promise<string> {
    return this.execIn(name, undefined, ...command);
  }

  /** In one of its containers; undefined: in the first. */
  async execIn(name: string, container: string | undefined, ...command: string[]): Promise<string> {
    const { status } = await this.get(name);
    const all = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
    const wanted = container === undefined ? all[0] : all.find(each => each.name === container);
    const id = wanted?.containerID?.split('://')[1] ?? '';
    const client = new CriClient(this.endpoint);
    try {
      return (await client.execSync(id, command, 120)).output.trimEnd();
    } finally {
      client.close();
    }
  }

  get(name: string): Promise<Stored<Pod>> {
    return this.api.get(pods, { namespace: 'default', name });
  }

  untilReady(name: string): Promise<Stored<Pod>> {
    return eventually(async () => {
      const pod = await this.get(name);
      if (!isReady(pod)) throw new Error(`${name} is not ready: ${JSON.stringify(pod.status)}`);
      return pod;
    });
  }

  /** Deletes a pod and waits until its object is gone. */
  async delete(name: string, gracePeriodSeconds = 1): Promise<void> {
    await this.api.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds });
    await eventually(() => expect(this.get(name)).rejects.toThrow('not found'));
  }

  async close(): Promise<void> {
    for (const kubelet of this.kubelets) await kubelet.stop();
    const client = new CriClient(this.endpoint);
    try {
      for (const { id } of await client.listPodSandboxes()) {
        await client.stopPodSandbox(id);
        await client.removePodSandbox(id);
      }
    } catch {
      // The runtime did not come up: there is nothing of it to remove.
    }
    client.close();
    await this.containerd?.stop();
    await this.stopRuntime();
    run(
      'sh',
      '-c',
      `grep -o ' ${this.directory}[^ ]*' /proc/self/mountinfo | sort -r | xargs -r -n 1 umount -l 2>/dev/null; true`,
    );
    run('sh', '-c', `ip link delete kth${this.id} 2>/dev/null; ip netns delete ${this.namespace} 2>/dev/null; true`);
    run('sh', '-c', `find /sys/fs/cgroup -depth -type d -path '*${this.cgroup}*' -exec rmdir {} + 2>/dev/null; true`);
    fs.rmSync(this.directory, { recursive: true, force: true });
    this.network.release();
  }
}
