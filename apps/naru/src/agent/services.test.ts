import { clusterInfo } from '../cluster-info';
import { defaultSettings } from '../cluster';
import { nodeServices, type NodeProcessOptions } from './services';

const options: NodeProcessOptions = {
  info: clusterInfo({ ...defaultSettings, name: 'c' }, '10.95.0.1:6444', 'tls://10.95.0.1:4222'),
  nodeName: 'worker-1',
  nodeIp: '10.95.0.11',
  nodeLabels: [],
  dataDir: '/data',
  runDir: '/run/naru',
  logDir: '/data/logs',
  imageStore: '/images',
  kubeletDir: '/var/lib/kubelet',
  runtimeEndpoint: undefined,
};

test('a node runs runtime, kubelet and kube-proxy, each with its own identity', () => {
  const services = nodeServices(options, file => file === '/opt/cni/bin');
  expect(services.map(({ name }) => name)).toEqual(['runtime', 'kubelet', 'kube-proxy']);
  const [runtime, kubelet, kubeProxy] = services.map(({ argv }) => argv.join(' '));
  expect(runtime).toMatch(/--image-store=\/images .*--cni-bin-dir=\/opt\/cni\/bin/);
  expect(kubelet).toMatch(/--certificate=\/data\/pki\/kubelet.crt .*--cluster-dns=10.96.0.10/);
  expect(kubeProxy).toMatch(/--certificate=\/data\/pki\/kubeProxy.crt .*--proxy-mode=nftables/);
});

test('with another CRI runtime, ours is not started', () => {
  const services = nodeServices({ ...options, runtimeEndpoint: 'unix:///run/containerd.sock' }, () => true);
  expect(services.map(({ name }) => name)).toEqual(['kubelet', 'kube-proxy']);
  expect(services[0]?.argv).toContain('--container-runtime-endpoint=unix:///run/containerd.sock');
});
