import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { pods, type Pod, type Stored } from '@naru/api';
import { createLogger, createMetrics, parseFlags } from '@naru/foundation';
import { Authority, createAuthority } from '@naru/pki';
import { MemoryObjects, busyboxImage, eventually, writeOciLayout } from '@naru/testing';
import { kubeletFlags } from '../config/flags';
import { effectiveConfiguration } from '../config/kubelet-configuration';
import { Kubelet } from '../kubelet';

const directory = '/run/naru';
/** Waits for what a scenario expects. It looks seldom: the kernel is slow, and each look takes time from the node. */
export const soon = <T>(check: () => T | Promise<T>): Promise<T> => eventually(check, 240_000, 250);

/** A file of the node below /run, which is a kernel's own. */
export const at = (name: string): string => path.join(directory, name);
export const endpoint = `unix://${directory}/runtime.sock`;

/** Starts our runtime, with an image busybox:test. `program`: its bundle. */
export async function startRuntime(program: string, more: string[] = []): Promise<void> {
  await writeOciLayout(at('layout'), busyboxImage('busybox:test'));
  execFileSync(process.execPath, [program, 'load', '--image-store', at('images'), at('layout')]);
  const flags = [
    ...[`--listen=${endpoint}`, `--root=${at('root')}`, `--state=${at('state')}`, `--image-store=${at('images')}`],
    ...[`--cni-conf-dir=${at('cni')}`, '--health-address=127.0.0.1:0'],
  ];
  spawn(process.execPath, [program, ...flags, ...more], { stdio: 'inherit' });
}

/** A kubelet on that, and who may call it. */
export async function startKubelet(
  api: MemoryObjects,
  more: string[] = [],
): Promise<{ kubelet: Kubelet; caller: { ca: string; cert: string; key: string } }> {
  const ca = await createAuthority({ commonName: 'test' });
  const authority = await Authority.load(ca);
  const serving = await authority.issue({
    subject: { commonName: 'node' },
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  });
  const caller = await authority.issue({ subject: { commonName: 'kube-apiserver' }, usages: ['client'] });
  const files = { ca: ca.certificate, 'serving.crt': serving.certificate, 'serving.key': serving.key };
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(at(name), text);
  const flags = parseFlags(kubeletFlags, [
    ...['--api-server=unused', '--nats=unused', '--certificate=unused', '--key=unused', `--ca=${at('ca')}`],
    ...['--node-name=node', '--node-ip=127.0.0.1', `--root-dir=${at('kubelet')}`, '--port=0'],
    ...[`--serving-certificate=${at('serving.crt')}`, `--serving-key=${at('serving.key')}`],
    ...[`--container-runtime-endpoint=${endpoint}`, ...more],
  ]);
  const kubelet = await Kubelet.create({
    ...{ flags, client: api, informers: api.informers(), metrics: createMetrics() },
    configuration: effectiveConfiguration(flags).configuration,
    logger: createLogger('kubelet'),
  });
  await kubelet.start();
  return { kubelet, caller: { ca: ca.certificate, cert: caller.certificate, key: caller.key } };
}

/** The pods of the node. */
export class ScenarioPods {
  constructor(private readonly api: MemoryObjects) {}

  create(name: string, spec: Partial<NonNullable<Pod['spec']>>): Promise<Stored<Pod>> {
    return this.api.create(pods, {
      metadata: { name, namespace: 'default' },
      spec: {
        nodeName: 'node',
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 1,
        tolerations: [{ operator: 'Exists' }],
        containers: [],
        ...spec,
      },
    });
  }

  get(name: string): Promise<Stored<Pod>> {
    return this.api.get(pods, { namespace: 'default', name });
  }

  delete(name: string): Promise<unknown> {
    return this.api.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds: 1 });
  }

  /** Waits for the state of a pod's first container, in JSON, and answers with the container's id. */
  container(name: string, holds: (state: string) => boolean): Promise<string> {
    return soon(async () => {
      const { status } = await this.get(name);
      const [first] = status?.containerStatuses ?? [];
      assert.ok(first && holds(JSON.stringify(first.state)), JSON.stringify(status));
      return first.containerID?.split('://')[1] ?? '';
    });
  }

  running(name: string): Promise<string> {
    return this.container(name, state => state.includes('running'));
  }
}
