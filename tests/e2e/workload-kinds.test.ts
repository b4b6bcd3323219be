import type { ControllerRevision, DaemonSet, Job, Node, Pod, StatefulSet } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, kubectl, withNamespace } from './cluster';

interface List<T> {
  items: T[];
}

const container = (command: string) =>
  `{ name: main, image: naru.dev/web:v1, imagePullPolicy: Never, command: [sh, -c, '${command}'] }`;

const template = (app: string, command = 'sleep 1000') => `
    metadata: { labels: { app: ${app} } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [${container(command)}]`;

const jobTemplate = (command: string) => `
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [${container(command)}]`;

const rollout = (namespace: string, what: string) =>
  kubectl(['-n', namespace, 'rollout', 'status', what, '--timeout=120s']);

const podsOf = async (namespace: string, app: string): Promise<Pod[]> =>
  (await askJson<List<Pod>>('-n', namespace, 'get', 'pods', '-l', app)).items;

test('a daemon set runs on every node, is updated and rolled back', async () => {
  await withNamespace('kinds-daemon', async namespace => {
    await apply(
      `
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent }
spec:
  selector: { matchLabels: { app: agent } }
  updateStrategy: { rollingUpdate: { maxUnavailable: 2 } }
  template: ${template('agent')}
`,
      '-n',
      namespace,
    );
    await rollout(namespace, 'daemonset/agent');
    const nodes = (await askJson<List<Node>>('get', 'nodes')).items.map(({ metadata }) => metadata?.name).sort();
    const running = await podsOf(namespace, 'app=agent');
    expect(running.map(({ spec }) => spec?.nodeName).sort()).toEqual(nodes);

    await kubectl(['-n', namespace, 'set', 'env', 'daemonset/agent', 'VERSION=2']);
    await rollout(namespace, 'daemonset/agent');
    expect(await ask('-n', namespace, 'rollout', 'history', 'daemonset/agent')).toMatch(/\n1 .*\n2 /);
    await kubectl(['-n', namespace, 'rollout', 'undo', 'daemonset/agent']);
    await rollout(namespace, 'daemonset/agent');
    const set = await askJson<DaemonSet>('-n', namespace, 'get', 'daemonset', 'agent');
    expect(set.spec?.template.spec?.containers[0]?.env).toBeUndefined();
    expect(set.status).toMatchObject({ numberReady: nodes.length, updatedNumberScheduled: nodes.length });
    const revisions = await askJson<List<ControllerRevision>>('-n', namespace, 'get', 'controllerrevisions');
    expect(revisions.items.map(({ revision }) => revision).sort()).toEqual([2, 3]);
  });
});

test('jobs complete, with indexes too, and fail when they must', async () => {
  await withNamespace('kinds-job', async namespace => {
    await apply(
      `
apiVersion: batch/v1
kind: Job
metadata: { name: plain }
spec:
  completions: 4
  parallelism: 2
  template: ${jobTemplate('echo done')}
---
apiVersion: batch/v1
kind: Job
metadata: { name: indexed }
spec:
  completions: 3
  parallelism: 3
  completionMode: Indexed
  template: ${jobTemplate('echo number $JOB_COMPLETION_INDEX on $(hostname)')}
---
apiVersion: batch/v1
kind: Job
metadata: { name: failing }
spec:
  backoffLimit: 0
  template: ${jobTemplate('exit 3')}
---
apiVersion: batch/v1
kind: Job
metadata: { name: judged }
spec:
  backoffLimit: 6
  podFailurePolicy: { rules: [{ action: FailJob, onExitCodes: { operator: In, values: [42] } }] }
  template: ${jobTemplate('exit 42')}
---
apiVersion: batch/v1
kind: Job
metadata: { name: late }
spec:
  activeDeadlineSeconds: 1
  template: ${jobTemplate('sleep 1000')}
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: yearly }
spec:
  schedule: '@yearly'
  timeZone: Asia/Seoul
  jobTemplate:
    spec: { template: { spec: { restartPolicy: Never, containers: [${container('echo now')}] } } }
`,
      '-n',
      namespace,
    );
    await kubectl(['-n', namespace, 'create', 'job', 'now', '--from=cronjob/yearly']);
    const wait = (condition: string, ...jobs: string[]) =>
      kubectl(['-n', namespace, 'wait', `--for=condition=${condition}`, '--timeout=120s', ...jobs]);
    await wait('complete', 'job/plain', 'job/indexed', 'job/now');
    await wait('failed', 'job/failing', 'job/judged', 'job/late');

    const jobs = (await askJson<List<Job>>('-n', namespace, 'get', 'jobs')).items;
    const reasons = Object.fromEntries(
      jobs.map(({ metadata, status }) => [
        metadata?.name,
        status?.conditions?.find(c => /Complete|Failed/.test(c.type))?.reason,
      ]),
    );
    expect(reasons).toEqual({
      plain: 'CompletionsReached',
      indexed: 'CompletionsReached',
      now: 'CompletionsReached',
      failing: 'BackoffLimitExceeded',
      judged: 'PodFailurePolicy',
      late: 'DeadlineExceeded',
    });
    expect(jobs.find(({ metadata }) => metadata?.name === 'plain')?.status).toMatchObject({ succeeded: 4 });
    expect(jobs.find(({ metadata }) => metadata?.name === 'indexed')?.status).toMatchObject({
      completedIndexes: '0-2',
    });
    const lines = (await ask('-n', namespace, 'logs', '-l', 'job-name=indexed')).split('\n').sort();
    expect(lines).toEqual([0, 1, 2].map(index => `number ${index} on indexed-${index}`));
    // No finalizer of ours holds what has ended.
    await kubectl(['-n', namespace, 'delete', 'job', '--all', '--timeout=120s']);
    await eventually(async () => expect(await podsOf(namespace, 'job-name')).toEqual([]), 90_000, 200);
  });
});

test('a stateful set comes up in order with stable names, is updated and goes down in reverse', async () => {
  await withNamespace('kinds-stateful', async namespace => {
    await apply(
      `
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { clusterIP: None, selector: { app: db }, ports: [{ port: 80 }] }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  replicas: 3
  serviceName: db
  selector: { matchLabels: { app: db } }
  template: ${template('db')}
`,
      '-n',
      namespace,
    );
    await rollout(namespace, 'statefulset/db');
    const started = (await podsOf(namespace, 'app=db')).sort((a, b) =>
      (a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1,
    );
    expect(started.map(({ metadata }) => metadata?.name)).toEqual(['db-0', 'db-1', 'db-2']);
    // Each was created when the one before it was ready.
    const versions = started.map(({ metadata }) => metadata?.creationTimestamp ?? '');
    expect([...versions].sort()).toEqual(versions);
    expect(await ask('-n', namespace, 'exec', 'db-1', '--', 'hostname')).toBe('db-1');

    await kubectl(['-n', namespace, 'delete', 'pod', 'db-1']);
    // The set may not have counted it out yet: its status tells nothing of the pod that comes.
    await eventually(async () => {
      const again = await askJson<Pod>('-n', namespace, 'get', 'pod', 'db-1');
      expect(again.metadata?.uid).not.toBe(started[1]?.metadata?.uid);
    });
    await rollout(namespace, 'statefulset/db');

    const partition = { spec: { updateStrategy: { rollingUpdate: { partition: 2 } } } };
    await kubectl(['-n', namespace, 'patch', 'statefulset', 'db', '-p', JSON.stringify(partition)]);
    await kubectl(['-n', namespace, 'set', 'env', 'statefulset/db', 'VERSION=2']);
    await rollout(namespace, 'statefulset/db');
    const versionOf = async (pod: string): Promise<string> =>
      ask('-n', namespace, 'get', 'pod', pod, '-o', 'jsonpath={.spec.containers[0].env[0].value}');
    expect(await Promise.all(['db-0', 'db-1', 'db-2'].map(versionOf))).toEqual(['', '', '2']);

    await kubectl(['-n', namespace, 'scale', 'statefulset/db', '--replicas=1']);
    await eventually(
      async () => expect((await podsOf(namespace, 'app=db')).map(({ metadata }) => metadata?.name)).toEqual(['db-0']),
      90_000,
      200,
    );
    await eventually(
      async () =>
        expect((await askJson<StatefulSet>('-n', namespace, 'get', 'sts', 'db')).status).toMatchObject({
          replicas: 1,
          readyReplicas: 1,
        }),
      90_000,
      200,
    );
  });
});

test('a budget holds evictions back, and an urgent pod takes the place of another', async () => {
  await withNamespace('kinds-disruption', async namespace => {
    await apply(
      `
apiVersion: apps/v1
kind: ReplicaSet
metadata: { name: guarded }
spec:
  replicas: 1
  selector: { matchLabels: { app: guarded } }
  template: ${template('guarded')}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: guarded }
spec: { maxUnavailable: 0, selector: { matchLabels: { app: guarded } } }
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: { name: kinds-urgent }
value: 1000
`,
      '-n',
      namespace,
    );
    try {
      // Not for the pod itself: there may be none yet, which is no reason to wait.
      const isReady = '--for=jsonpath={.status.readyReplicas}=1';
      await kubectl(['-n', namespace, 'wait', isReady, 'replicaset/guarded', '--timeout=120s']);
      await eventually(
        async () => expect(await ask('-n', namespace, 'get', 'pdb', 'guarded')).toMatch(/ 0 +0 /),
        90_000,
        200,
      );
      const [guarded] = await podsOf(namespace, 'app=guarded');
      const name = guarded?.metadata?.name ?? '';
      const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
      const url = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
      const evict = () =>
        kubectl(['create', '--raw', url, '-f', '-'], { input: JSON.stringify(eviction), anyCode: true });
      expect((await evict()).stderr).toMatch(/disruption budget/);
      await kubectl(['-n', namespace, 'patch', 'pdb', 'guarded', '-p', '{"spec":{"maxUnavailable":1}}']);
      await eventually(async () => expect((await evict()).code).toBe(0), 90_000, 200);

      // Both want more than half of the node: there is room for one of them.
      const node = (await askJson<List<Node>>('get', 'nodes')).items[0];
      const millis = Math.floor(Number(node?.status?.allocatable?.['cpu']) * 600);
      const pod = (podName: string, more: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${podName} }
spec:
  # With 0 the object would be gone before the container is, and the node would refuse the next pod.
  terminationGracePeriodSeconds: 1
  nodeSelector: { kubernetes.io/hostname: ${node?.metadata?.name} }${more}
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    command: [sleep, '1000']
    resources: { requests: { cpu: ${millis}m } }
`;
      const ready = (podName: string) =>
        kubectl(['-n', namespace, 'wait', '--for=condition=Ready', `pod/${podName}`, '--timeout=120s']);
      await apply(pod('ordinary', ''), '-n', namespace);
      await ready('ordinary');
      await apply(pod('urgent', '\n  priorityClassName: kinds-urgent'), '-n', namespace);
      await ready('urgent');
      expect((await kubectl(['-n', namespace, 'get', 'pod', 'ordinary'], { anyCode: true })).stderr).toMatch(
        /not found/,
      );
      await eventually(async () => expect(await ask('-n', namespace, 'get', 'events')).toMatch(/Preempted/));
    } finally {
      await kubectl(['delete', 'priorityclass', 'kinds-urgent', '--ignore-not-found']);
    }
  });
});
