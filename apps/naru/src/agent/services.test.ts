import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { clusterInfo } from '../cluster-info';
import { defaultRanges, defaultSettings } from '../cluster';
import { script } from '../keeper';
import { checkContainerRuntime } from './container-runtime';
import { kubeletConfiguration, readKubeletFields } from './kubelet-configuration';
import { nodeServices, type NodeProcessOptions } from './services';

const options: NodeProcessOptions = {
  info: clusterInfo({ ...defaultSettings, name: 'c' }, '10.95.0.1:6444', 'tls://10.95.0.1:4222'),
  nodeName: 'worker-1',
  nodeIps: ['10.95.0.11'],
  nodeLabels: [],
  dataDir: '/data',
  runDir: '/run/naru',
  logDir: '/data/logs',
  imageStore: '/images',
  kubeletDir: '/var/lib/kubelet',
  containerRuntime: 'naru',
  registryConfig: undefined,
  runtimeEndpoint: undefined,
};

test('a node runs runtime, kubelet and kube-proxy, each with its own identity', () => {
  const services = nodeServices(options);
  expect(services.map(({ name }) => name)).toEqual(['runtime', 'kubelet', 'kube-proxy']);
  const [runtime, kubelet, kubeProxy] = services.map(({ argv }) => argv.join(' '));
  expect(runtime).toMatch(/--image-store=\/images .*--cni-bin-dir=\/usr\/lib\/cni,\/opt\/cni\/bin/);
  expect(kubelet).toMatch(/--certificate=\/data\/pki\/kubelet.crt .*--config=\/data\/kubelet-config.json/);
  expect(kubeProxy).toMatch(/--certificate=\/data\/pki\/kubeProxy.crt .*--proxy-mode=nftables/);
});

test('with another CRI runtime, ours is not started', () => {
  const services = nodeServices({ ...options, runtimeEndpoint: 'unix:///run/containerd.sock' });
  expect(services.map(({ name }) => name)).toEqual(['kubelet', 'kube-proxy']);
  expect(services[0]?.argv).toContain('--container-runtime-endpoint=unix:///run/containerd.sock');
});

test('a node with containerd has one of its own in the place of our runtime', () => {
  const services = nodeServices({ ...options, containerRuntime: checkContainerRuntime('containerd') });
  expect(services.map(({ name }) => name)).toEqual(['containerd', 'kubelet', 'kube-proxy']);
  const [containerd, kubelet] = services;
  expect(containerd?.argv).toEqual([
    script('containerd'),
    '/data/containerd',
    '/run/naru',
    '/data/cni/net.d',
    'naru.dev/pause:1',
  ]);
  expect(kubelet?.argv).toContain('--container-runtime-endpoint=unix:///run/naru/runtime.sock');
  expect(kubelet?.argv).toContain('--pod-infra-container-image=naru.dev/pause:1');
  expect(() => checkContainerRuntime('docker')).toThrow('"docker" is neither naru nor containerd');
});

test('a node is told how to reach registries', () => {
  const [runtime] = nodeServices({ ...options, registryConfig: '/data/registries.json' });
  expect(runtime?.argv).toContain('--registry-config=/data/registries.json');
});

test('a node of two families tells its processes of both', () => {
  const settings = { ...defaultSettings, ...defaultRanges.dual, ipFamily: 'dual', name: 'c' } as const;
  const info = clusterInfo(settings, '10.95.0.1:6444', 'tls://10.95.0.1:4222');
  const services = nodeServices({ ...options, info, nodeIps: ['10.95.0.11', 'fd00:10:95::11'] });
  const [, kubelet, kubeProxy] = services.map(({ argv }) => argv);
  expect(kubelet).toEqual(expect.arrayContaining(['--node-ip=10.95.0.11,fd00:10:95::11']));
  expect(kubeletConfiguration({ info, nodeIps: ['10.95.0.11', 'fd00:10:95::11'], manifests: '/m' }, {})).toMatchObject({
    clusterDNS: ['10.96.0.10', 'fd00:10:96::a'],
    address: '::',
  });
  expect(kubeProxy).toEqual(
    expect.arrayContaining([
      '--cluster-cidr=10.244.0.0/16,fd00:10:244::/56',
      '--load-balancer-addresses=10.95.0.224-10.95.0.254,fd00:10:95::224-fd00:10:95::254',
    ]),
  );
});

test("what a user wants of the kubelet goes before what follows from the cluster, and is the kubelet's to judge", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'kubelet-config-'));
  const file = path.join(folder, 'kubelet.yaml');
  writeFileSync(
    file,
    'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 7\nclusterDNS: [10.0.0.53]\n',
  );
  const facts = { info: options.info, nodeIps: options.nodeIps, manifests: '/data/manifests' };
  expect(kubeletConfiguration(facts, await readKubeletFields(file))).toEqual({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    clusterDNS: ['10.0.0.53'],
    clusterDomain: 'cluster.local',
    staticPodPath: '/data/manifests',
    nodeLeaseDurationSeconds: 10,
    maxPods: 7,
  });
  writeFileSync(file, 'kind: Pod\n');
  await expect(readKubeletFields(file)).rejects.toThrow(`${file} is no KubeletConfiguration`);
  rmSync(folder, { recursive: true });
});
