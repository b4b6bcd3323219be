import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseFlags } from '@naru/foundation';
import { formatDuration, parseDuration } from './duration';
import { kubeletFlags } from './flags';
import { effectiveConfiguration, type KubeletConfiguration } from './kubelet-configuration';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kubelet-config-'));
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

const required = ['--api-server=x', '--nats=x', '--ca=/pki/ca', '--certificate=x', '--key=x'];
const node = ['--node-name=n', '--node-ip=10.0.0.1', '--serving-certificate=/pki/s.crt', '--serving-key=/pki/s.key'];

function load(yaml: string | undefined, ...flags: string[]): { configuration: KubeletConfiguration; idle: string[] } {
  const file = path.join(directory, 'config.yaml');
  if (yaml !== undefined) {
    fs.writeFileSync(file, `apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n${yaml}`);
    flags.unshift(`--config=${file}`);
  }
  return effectiveConfiguration(parseFlags(kubeletFlags, [...required, ...node, ...flags]));
}

describe('the KubeletConfiguration', () => {
  it("has upstream's defaults without a file", () => {
    const { configuration, idle } = load(undefined);
    expect(idle).toEqual([]);
    expect(configuration).toMatchObject({
      maxPods: 110,
      evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '10%', 'imagefs.available': '15%' },
      imageGCHighThresholdPercent: 85,
      evictionPressureTransitionPeriod: '5m0s',
      enforceNodeAllocatable: ['pods'],
      authentication: { x509: { clientCAFile: '/pki/ca' } },
      tlsCertFile: '/pki/s.crt',
    });
  });

  it('takes fields from its file, and the command line wins over them', () => {
    const yaml =
      'maxPods: 20\nclusterDomain: lab.local\nclusterDNS: [10.96.0.10]\nsyncFrequency: 90s\nkubeReserved: {cpu: 100m}\n';
    expect(load(yaml).configuration).toMatchObject({
      maxPods: 20,
      clusterDomain: 'lab.local',
      clusterDNS: ['10.96.0.10'],
      syncFrequency: '1m30s',
      kubeReserved: { cpu: '100m' },
    });
    const flags = [
      '--max-pods=5',
      '--cluster-dns=10.0.0.9',
      '--kube-reserved=memory=1Gi',
      '--register-with-taints=a=b:NoSchedule',
    ];
    expect(load(yaml, ...flags).configuration).toMatchObject({
      maxPods: 5,
      clusterDNS: ['10.0.0.9'],
      clusterDomain: 'lab.local',
      kubeReserved: { memory: '1Gi' },
      registerWithTaints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }],
    });
  });

  it('refuses fields that it does not know, at any depth, and values of another kind', () => {
    expect(() => load('maxPod: 3\n')).toThrow('strict decoding error: unknown field "maxPod"');
    expect(() => load('authentication: {x509: {clientCA: a}}\n')).toThrow(
      'unknown field "authentication.x509.clientCA"',
    );
    expect(() => load('maxPods: many\n')).toThrow('maxPods: must be a whole number');
    expect(() => load('syncFrequency: 1 minute\n')).toThrow('syncFrequency: time: invalid duration "1 minute"');
    fs.writeFileSync(path.join(directory, 'other.yaml'), 'apiVersion: v1\nkind: Pod\n');
    expect(() => load(undefined, `--config=${directory}/other.yaml`)).toThrow(
      'no kind "Pod" is registered for version "v1"',
    );
    expect(() => load(undefined, '--config=/absent')).toThrow('failed to load kubelet config file, path: /absent');
  });

  it('says of every value that makes no sense what is wrong with it', () => {
    const yaml =
      'imageGCLowThresholdPercent: 90\ncgroupDriver: openrc\nclusterDNS: [dns]\nenforceNodeAllocatable: [all]\n';
    expect(() => load(yaml)).toThrow(
      /imageGCLowThresholdPercent 90 must be less than .*clusterDNS "dns" .*option "all".*cgroupDriver "openrc"/,
    );
    for (const period of ['500ms', '5m1s']) {
      expect(() => load(`crashLoopBackOff: {maxContainerRestartPeriod: ${period}}\n`)).toThrow(
        /crashLoopBackOff.maxContainerRestartPeriod \(got: .* seconds\) must be set between 1s and 300s/,
      );
    }
    expect(() => load('evictionSoft: {memory.available: 1Gi}\n')).toThrow(
      'grace period must be specified for the soft eviction threshold memory.available',
    );
    expect(() => load(undefined, '--eviction-hard=memory.avail<1Gi')).toThrow(
      'unsupported eviction signal memory.avail',
    );
  });

  it('says which policies for CPUs, memory and topology it does not have', () => {
    const yaml = `memoryManagerPolicy: Dynamic
topologyManagerPolicyOptions: {prefer-closest-numa-nodes: "true"}
cpuManagerPolicyOptions: {align-by-socket: "true"}
reservedSystemCPUs: one
`;
    expect(() => load(yaml)).toThrow(
      /memoryManagerPolicy "Dynamic" is not supported: use None, Static.*cpuManagerPolicyOptions "align-by-socket" is not supported.*topologyManagerPolicyOptions are not supported.*reservedSystemCPUs: "one"/,
    );
  });

  it('reserves the CPUs that are named, whatever else was said of their number', () => {
    const yaml = 'reservedSystemCPUs: 0-1\nkubeReserved: {cpu: 100m, memory: 1Gi}\n';
    expect(load(yaml).configuration).toMatchObject({ systemReserved: { cpu: '2' }, kubeReserved: { memory: '1Gi' } });
  });

  it('reads memory that is reserved by NUMA node from file and flag', () => {
    const one = [{ numaNode: 1, limits: { memory: '1Gi' } }];
    expect(load(`reservedMemory: ${JSON.stringify(one)}\n`).configuration.reservedMemory).toEqual(one);
    const flag = '--reserved-memory=0:memory=1Gi,hugepages-2Mi=4Mi,1:memory=2Gi';
    expect(load(undefined, flag).configuration.reservedMemory).toEqual([
      { numaNode: 0, limits: { memory: '1Gi', 'hugepages-2Mi': '4Mi' } },
      { numaNode: 1, limits: { memory: '2Gi' } },
    ]);
    expect(() => load(undefined, '--reserved-memory=memory=1Gi')).toThrow('"memory=1Gi" is not of the form');
  });

  it('names fields that change nothing here', () => {
    expect(load('kubeAPIQPS: 100\nmaxPods: 3\n').idle).toEqual(['kubeAPIQPS']);
  });

  it('turns default thresholds off when one is named, unless they are to be merged', () => {
    const yaml = 'evictionHard: {memory.available: 50Mi}\n';
    expect(load(yaml).configuration.evictionHard).toEqual({ 'memory.available': '50Mi' });
    const merged = load(`${yaml}mergeDefaultEvictionSettings: true\n`).configuration.evictionHard;
    expect(merged).toMatchObject({ 'memory.available': '50Mi', 'nodefs.available': '10%' });
  });
});

test('durations read and print as in Go', () => {
  const pairs = { '1h30m': '1h30m0s', '90s': '1m30s', '0': '0s', '300ms': '300ms', '1.5s': '1.5s', '24h': '24h0m0s' };
  for (const [given, printed] of Object.entries(pairs)) expect(formatDuration(parseDuration(given))).toBe(printed);
  expect(() => parseDuration('5')).toThrow('invalid duration');
});
