import fs from 'node:fs/promises';
import os from 'node:os';
import { configMaps, leases, nodes, pods, type Pod, type Stored } from '@naru/api';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { TestNode, forever, image, isReady, nodeName, patient, shell, whyNot, type Answer } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`kubelet integration tests are skipped: ${skipped}\n`);

withRoot('the kubelet on a real runtime', () => {
  let node: TestNode;
  let kubelet: Kubelet;

  beforeAll(async () => {
    node = await TestNode.create();
    kubelet = await node.startKubelet();
  });

  afterAll(() => node?.close());

  const untilReady = (name: string): Promise<Stored<Pod>> => node.untilReady(name);
  const fetchText = (path: string, who?: 'caller' | 'stranger' | 'nobody'): Promise<Answer> =>
    node.fetch(kubelet, path, who);

  it('registers the node, makes it Ready and keeps its lease', async () => {
    const registered = await eventually(async () => {
      const found = await node.api.get(nodes, { name: nodeName });
      expect(found.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True');
      return found;
    });
    expect(registered.metadata.labels?.['kubernetes.io/hostname']).toBe(nodeName);
    expect(Number(registered.status?.allocatable?.['pods'])).toBe(110);
    expect(registered.status?.nodeInfo?.containerRuntimeVersion).toMatch(/^naru:/);
    const lease = await eventually(() => node.api.get(leases, { namespace: 'kube-node-lease', name: nodeName }));
    expect(lease.spec?.holderIdentity).toBe(nodeName);
  });

  it('runs a pod to Ready in few status writes, serves its log and deletes it', async () => {
    const before = node.api.writes.length;
    await node.create('web', {
      containers: [
        shell(`echo hello $NAME $KUBERNETES_SERVICE_HOST; ${forever}`, { env: [{ name: 'NAME', value: 'world' }] }),
      ],
    });
    const pod = await untilReady('web');
    const writes = node.api.writes.slice(before).filter(({ key, verb }) => key === 'default/web' && verb === 'patch');
    // One when the start is quicker than the writer's patience with what is on its way; else one before its sandbox is there, and one after.
    expect(writes.length).toBeLessThanOrEqual(3);
    expect(pod.status).toMatchObject({ phase: 'Running', hostIP: expect.any(String), podIP: expect.any(String) });
    expect(pod.status?.containerStatuses?.[0]).toMatchObject({ ready: true, started: true, restartCount: 0 });
    await eventually(async () =>
      expect(await fetchText('/containerLogs/default/web/main')).toMatchObject({
        code: 200,
        text: 'hello world 10.96.0.1\n',
      }),
    );
    await node.untilTold('web', 'Pulled', 'Created', 'Started');
    await node.delete('web');
    expect(kubelet.workers.list()).toHaveLength(0);
  });

  it('tells what the node is, what it has and which images', async () => {
    const status = await eventually(async () => {
      const { status } = await node.api.get(nodes, { name: nodeName });
      expect(status?.images?.length).toBeGreaterThan(0);
      return status;
    });
    const conditions = status?.conditions?.map(({ type, status, reason }) => [type, status, reason]);
    expect(conditions).toEqual([
      ['MemoryPressure', 'False', 'KubeletHasSufficientMemory'],
      ['DiskPressure', 'False', 'KubeletHasNoDiskPressure'],
      ['PIDPressure', 'False', 'KubeletHasSufficientPID'],
      ['Ready', 'True', 'KubeletReady'],
    ]);
    expect(status?.addresses).toEqual([
      { type: 'InternalIP', address: expect.stringMatching(/^10\./) },
      { type: 'Hostname', address: nodeName },
    ]);
    expect(status?.nodeInfo).toMatchObject({
      architecture: ({ x64: 'amd64', arm64: 'arm64' } as Record<string, string>)[process.arch],
      operatingSystem: 'linux',
      kernelVersion: os.release(),
      osImage: expect.stringMatching(/./),
      bootID: expect.stringMatching(/^[-0-9a-f]{36}$/),
      machineID: expect.any(String),
      kubeletVersion: expect.stringMatching(/^v1\.36/),
    });
    expect(Number(status?.capacity?.['cpu'])).toBe(os.availableParallelism());
    expect(Math.abs(parseInt(status?.capacity?.['memory'] ?? '') - os.totalmem() / 1024)).toBeLessThan(1024);
    expect(status?.images?.[0]).toMatchObject({
      names: expect.arrayContaining([image]),
      sizeBytes: expect.any(Number),
    });
    expect(status?.declaredFeatures).toEqual([
      'ExtendWebSocketsToKubelet',
      'InPlacePodLevelResourcesVerticalScaling',
      'InPlacePodVerticalScalingInitContainers',
      'RestartAllContainersOnContainerExits',
    ]);
    expect(status?.daemonEndpoints?.kubeletEndpoint?.Port).toBe(kubelet.server.port);
  });

  it('serves as much of a log as is asked for, that of the container before it, and what is written meanwhile', async () => {
    const lines = 'echo one; echo two; echo three';
    await node.create('chatty', {
      containers: [
        shell(`if [ -e /state/again ]; then ${lines}; ${forever}; fi; touch /state/again; echo first; exit 1`, {
          volumeMounts: [{ name: 'state', mountPath: '/state' }],
        }),
      ],
      volumes: [{ name: 'state', emptyDir: {} }],
    });
    const log = async (query: string): Promise<string> =>
      (await fetchText(`/containerLogs/default/chatty/main?${query}`)).text;
    await eventually(async () => expect(await log('')).toBe('one\ntwo\nthree\n'));
    expect(await log('previous=true')).toBe('first\n');
    expect(await log('tailLines=2')).toBe('two\nthree\n');
    expect(await log('limitBytes=5')).toBe('one\nt');
    expect(await log('sinceTime=2999-01-01T00:00:00Z')).toBe('');
    expect(await log('sinceSeconds=3600&tailLines=1')).toBe('three\n');
    expect(await log('timestamps=true&tailLines=1')).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z three\n$/);
    for (const [query, code, why] of [
      ['tailLines=-1', 422, 'tailLines: Invalid value: -1: must be greater than or equal to 0'],
      ['limitBytes=0', 422, 'limitBytes: Invalid value: 0: must be greater than 0'],
      [
        'sinceSeconds=1&sinceTime=2999-01-01T00:00:00Z',
        422,
        'at most one of `sinceTime` or `sinceSeconds` may be specified',
      ],
      ['tailLines=few', 400, 'strconv.ParseInt: parsing "few": invalid syntax'],
      ['sinceTime=yesterday', 400, 'parsing time'],
    ] as const) {
      const answer = await fetchText(`/containerLogs/default/chatty/main?${query}`);
      expect(answer).toMatchObject({ code, text: expect.stringContaining(why) });
    }
    expect(await fetchText('/containerLogs/default/chatty/absent')).toMatchObject({ code: 404 });
    let following: Promise<Answer> | undefined;
    await new Promise<void>(heard => {
      following = node.following(kubelet, '/containerLogs/default/chatty/main?follow=true&tailLines=1', heard);
    });
    await node.delete('chatty');
    expect((await following)?.text).toBe('three\n');
  });

  it('lists its pods, and says that it is well', async () => {
    await node.create('listed', { containers: [shell(forever)] });
    await untilReady('listed');
    const { kind, items } = JSON.parse((await fetchText('/pods')).text) as { kind: string; items: Pod[] };
    expect(kind).toBe('PodList');
    expect(items.find(({ metadata }) => metadata?.name === 'listed')?.status?.phase).toBe('Running');
    expect(await fetchText('/healthz')).toMatchObject({ code: 200, text: 'ok' });
    await node.delete('listed');
  });

  it('restarts a container that fails and backs off', async () => {
    await node.create('crash', { containers: [shell('echo last words > /dev/termination-log; exit 3')] });
    const pod = await eventually(async () => {
      const found = await node.get('crash');
      expect(found.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('CrashLoopBackOff');
      return found;
    });
    expect(pod.status?.phase).toBe('Running');
    expect(pod.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 3, reason: 'Error', message: 'last words\n' } },
    });
    await node.untilTold('crash', 'BackOff');
    await node.delete('crash');
  });

  it('finishes a pod that never restarts', async () => {
    await node.create('job', { restartPolicy: 'Never', containers: [shell('echo done')] });
    await eventually(async () => expect((await node.get('job')).status?.phase).toBe('Succeeded'));
    expect((await fetchText('/containerLogs/default/job/main')).text).toBe('done\n');
    await node.delete('job');
  });

  it('runs init containers in order, then a sidecar, then the main container', async () => {
    const volumeMounts = [{ name: 'v', mountPath: '/v' }];
    await node.create('ordered', {
      volumes: [{ name: 'v', emptyDir: {} }],
      initContainers: [
        shell('echo -n 1 >> /v/order', { name: 'one', volumeMounts }),
        shell(`echo -n 2 >> /v/order; ${forever}`, { name: 'side', restartPolicy: 'Always', volumeMounts }),
        shell('echo -n 3 >> /v/order', { name: 'three', volumeMounts }),
      ],
      containers: [shell(`cat /v/order; ${forever}`, { volumeMounts })],
    });
    await untilReady('ordered');
    await eventually(async () =>
      expect((await fetchText('/containerLogs/default/ordered/main')).text).toMatch(/^1.*3$/),
    );
    await node.delete('ordered');
  });

  it('probes readiness and liveness, over HTTP and by commands', async () => {
    await node.create('probed', {
      containers: [
        shell('mkdir /www; touch /www/ok; exec httpd -f -p 8080 -h /www', {
          readinessProbe: { httpGet: { path: '/ok', port: 8080 }, ...patient },
          // Well from the beginning, however long that takes.
          livenessProbe: { exec: { command: ['test', '!', '-e', '/ill'] }, ...patient, failureThreshold: 1 },
        }),
      ],
    });
    const pod = await untilReady('probed');
    const id = pod.status?.containerStatuses?.[0]?.containerID?.replace(/^.*:\/\//, '') ?? '';
    await exec(id, ['rm', '/www/ok']);
    await eventually(async () => expect(isReady(await node.get('probed'))).toBe(false));
    await exec(id, ['touch', '/ill']);
    await eventually(async () =>
      expect((await node.get('probed')).status?.containerStatuses?.[0]?.restartCount).toBe(1),
    );
    await untilReady('probed');
    await node.untilTold('probed', 'Unhealthy', 'Killing');
    await node.delete('probed');
  });

  async function exec(containerId: string, command: string[]): Promise<string> {
    const { CriClient } = await import('../cri/cri-client');
    const client = new CriClient(node.endpoint);
    try {
      return (await client.execSync(containerId, command, 120)).output;
    } finally {
      client.close();
    }
  }

  it('runs hooks around the life of a container', async () => {
    await node.create('hooked', {
      terminationGracePeriodSeconds: 5,
      volumes: [{ name: 'h', hostPath: { path: node.file('hooks'), type: 'DirectoryOrCreate' } }],
      containers: [
        shell(forever, {
          volumeMounts: [{ name: 'h', mountPath: '/h' }],
          lifecycle: {
            postStart: { exec: { command: ['touch', '/h/started'] } },
            preStop: { exec: { command: ['touch', '/h/stopping'] } },
          },
        }),
      ],
    });
    await untilReady('hooked');
    const fs = await import('node:fs/promises');
    expect(await fs.readdir(node.file('hooks'))).toEqual(['started']);
    // Time enough for its hook.
    await node.delete('hooked', 120);
    expect((await fs.readdir(node.file('hooks'))).sort()).toEqual(['started', 'stopping']);
  });

  it('shows a config map and follows its changes', async () => {
    const key = { namespace: 'default', name: 'settings' };
    await node.api.create(configMaps, { metadata: key, data: { color: 'blue' } });
    await node.create('configured', {
      volumes: [{ name: 'c', configMap: { name: 'settings' } }],
      containers: [
        shell('while :; do echo "$(cat /c/color)$(cat /one)"; sleep 0.2; done', {
          volumeMounts: [
            { name: 'c', mountPath: '/c' },
            { name: 'c', mountPath: '/one', subPath: 'color' },
          ],
          env: [{ name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } }],
        }),
      ],
    });
    await untilReady('configured');
    const log = (): Promise<string> =>
      fetchText('/containerLogs/default/configured/main?tailLines=1').then(({ text }) => text);
    await eventually(async () => expect(await log()).toBe('blueblue\n'));
    await node.api.patch(configMaps, key, { type: 'merge', body: { data: { color: 'red' } } });
    // A sub path is a copy of its time, as upstream.
    await eventually(async () => expect(await log()).toBe('redblue\n'));
    await node.delete('configured');
  });

  it('has volumes follow their objects without asking the runtime for the pod', async () => {
    const key = { namespace: 'default', name: 'followed' };
    await node.api.create(configMaps, { metadata: key, data: { step: '0' } });
    await node.create('follower', {
      volumes: [{ name: 'c', configMap: { name: key.name } }],
      containers: [shell(forever, { volumeMounts: [{ name: 'c', mountPath: '/c' }] })],
    });
    await untilReady('follower');
    const { uid = '' } = (await node.get('follower')).metadata;
    const file = `${node.rootDir}/pods/${uid}/volumes/kubernetes.io~configmap/c/step`;
    const follow = async (step: string): Promise<string | undefined> => {
      await node.api.patch(configMaps, key, { type: 'merge', body: { data: { step } } });
      await eventually(async () => expect(await fs.readFile(file, 'utf8')).toBe(step));
      const { text } = await fetchText('/metrics');
      return /^kubelet_runtime_operations_total\{operation_type="podsandbox_status"\} .*$/m.exec(text)?.[0];
    };
    let step = 1;
    // Something else of the pod, as a late event of its container, may have it asked for between two changes; each change would.
    await eventually(async () => {
      const before = await follow(`${step++}`);
      expect(before).toBeDefined();
      expect(await follow(`${step++}`)).toBe(before);
    });
    await node.delete('follower');
  });

  it('says what is missing, and starts when it appears', async () => {
    await node.create('needy', {
      containers: [shell(forever, { envFrom: [{ configMapRef: { name: 'later' } }] })],
    });
    await eventually(async () =>
      expect((await node.get('needy')).status?.containerStatuses?.[0]?.state?.waiting).toEqual({
        reason: 'CreateContainerConfigError',
        message: 'configmap "later" not found',
      }),
    );
    await node.api.create(configMaps, { metadata: { namespace: 'default', name: 'later' }, data: { a: 'b' } });
    await untilReady('needy');
    await node.delete('needy');
  });

  it('gives the words of the registry for an image that cannot be pulled', async () => {
    await node.create('absent', { containers: [shell('true', { image: '127.0.0.1:1/none:x' })] });
    const pod = await eventually(async () => {
      const found = await node.get('absent');
      expect(found.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('ImagePullBackOff');
      return found;
    });
    expect(pod.status?.phase).toBe('Pending');
    expect(pod.status?.containerStatuses?.[0]?.state?.waiting?.message).toContain(
      'Back-off pulling image "127.0.0.1:1/none:x"',
    );
    await node.delete('absent');
  });

  it('rejects a pod that does not fit', async () => {
    await node.create('huge', { containers: [shell(forever, { resources: { requests: { cpu: '999' } } })] });
    await eventually(async () =>
      expect((await node.get('huge')).status).toMatchObject({ phase: 'Failed', reason: 'OutOfcpu' }),
    );
    await node.delete('huge');
  });

  it('fails a pod at its deadline', async () => {
    await node.create('slow', { activeDeadlineSeconds: 1, containers: [shell(forever)] });
    await eventually(async () =>
      expect((await node.get('slow')).status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' }),
    );
    await node.delete('slow');
  });

  it('lets nobody in but the api-server', async () => {
    expect((await fetchText('/pods', 'nobody')).code).toBe(401);
    expect((await fetchText('/pods', 'stranger')).code).toBe(403);
    expect((await fetchText('/pods')).code).toBe(200);
    expect((await fetchText('/healthz')).text).toBe('ok');
    expect((await fetchText('/metrics')).text).toContain('kubelet_running_pods');
    expect((await fetchText('/logs/')).text).toContain('<pre>');
    expect((await fetchText('/logs/', 'stranger')).code).toBe(403);
    expect((await fetchText('/nothing')).code).toBe(404);
  });

  it('leaves containers running over its restart and takes them up again', async () => {
    await node.create('survivor', { containers: [shell(forever)] });
    await node.create('leaver', { containers: [shell(forever)] });
    await Promise.all([untilReady('survivor'), untilReady('leaver')]);
    await node.stopKubelet(kubelet);
    const before = await node.get('survivor');
    await node.api.delete(pods, { namespace: 'default', name: 'leaver' }, { gracePeriodSeconds: 0 });
    const writes = node.api.writes.length;
    kubelet = await node.startKubelet();
    await eventually(() =>
      expect(kubelet.workers.list().map(({ current }) => current.metadata.name)).toEqual(['survivor']),
    );
    await eventually(() => expect(kubelet.workers.list()[0]?.lastRuntime.containers).toHaveLength(1));
    const after = await node.get('survivor');
    expect(after.status).toEqual(before.status);
    const rewritten = node.api.writes
      .slice(writes)
      .filter(({ key, resource }) => key === 'default/survivor' && resource === 'pods');
    expect(rewritten).toEqual([]);
    await node.delete('survivor');
  });

  it('puts right what others wrote over a pod that runs, also what they wrote while it was away', async () => {
    await node.create('doubted', {
      containers: [shell(forever, { readinessProbe: { exec: { command: ['true'] }, ...patient, periodSeconds: 60 } })],
    });
    const before = await untilReady('doubted');
    // What the controller-manager does to the pods of a node that it does not hear of.
    const doubt = async (): Promise<void> => {
      const { status } = await node.get('doubted');
      const conditions = status?.conditions?.map(each => (each.type === 'Ready' ? { ...each, status: 'False' } : each));
      const key = { namespace: 'default', name: 'doubted' };
      await node.api.patch(pods, key, { type: 'merge', body: { status: { conditions } } }, { subresource: 'status' });
    };
    await doubt();
    await untilReady('doubted');
    await node.stopKubelet(kubelet);
    await doubt();
    kubelet = await node.startKubelet();
    const after = await untilReady('doubted');
    expect(after.status?.containerStatuses).toEqual(before.status?.containerStatuses);
    await node.delete('doubted');
  });

  it('runs pods from files and shows them by mirrors', async () => {
    await node.stopKubelet(kubelet);
    const directory = node.file('manifests');
    kubelet = await node.startKubelet([`--pod-manifest-path=${directory}`]);
    const fs = await import('node:fs/promises');
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'static' },
      spec: { containers: [shell(forever)] },
    };
    await fs.writeFile(`${directory}/static.json`, JSON.stringify(manifest));
    const mirror = await untilReady(`static-${nodeName}`);
    expect(mirror.metadata.annotations?.['kubernetes.io/config.mirror']).toBeDefined();
    await node.api.delete(pods, { namespace: 'default', name: `static-${nodeName}` }, { gracePeriodSeconds: 0 });
    const again = await untilReady(`static-${nodeName}`);
    expect(again.status?.containerStatuses?.[0]?.containerID).toBe(mirror.status?.containerStatuses?.[0]?.containerID);
    await fs.rm(`${directory}/static.json`);
    await eventually(() => expect(node.get(`static-${nodeName}`)).rejects.toThrow('not found'));
    await eventually(() => expect(kubelet.workers.list()).toHaveLength(0));
  });

  it('registers again when its Node was deleted', async () => {
    await node.api.delete(nodes, { name: nodeName });
    kubelet.reporter.poke();
    await eventually(() => node.api.get(nodes, { name: nodeName }));
  });
});
