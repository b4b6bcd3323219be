import type { CoreEvent, CronJob, Deployment, HorizontalPodAutoscaler, Job } from '@naru/api';
import { createRequest } from '@naru/pki';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, kubectl } from './cluster';

const namespace = 'kubectl-workloads';
const inNamespace = (...args: string[]) => ask('-n', namespace, ...args);
const rolledOut = () => kubectl(['-n', namespace, 'rollout', 'status', 'deployment/app', '--timeout=120s']);
const deployment = () => askJson<Deployment>('-n', namespace, 'get', 'deployment', 'app');
const versionOf = async (): Promise<string | undefined> =>
  (await deployment()).spec?.template.spec?.containers[0]?.env?.find(({ name }) => name === 'VERSION')?.value;

beforeAll(() => kubectl(['create', 'namespace', namespace]));
afterAll(() => kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']));

test('kubectl rollout: history, undo, pause, resume and restart of a deployment', async () => {
  await apply(`
apiVersion: apps/v1
kind: Deployment
metadata: { name: app, namespace: ${namespace}, annotations: { kubernetes.io/change-cause: first } }
spec:
  replicas: 2
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: main, image: 'naru.dev/web:v1', env: [{ name: VERSION, value: '1' }] }]
`);
  await rolledOut();
  await inNamespace('set', 'env', 'deployment/app', 'VERSION=2');
  await inNamespace('annotate', 'deployment/app', 'kubernetes.io/change-cause=second', '--overwrite');
  await rolledOut();
  await eventually(async () => {
    const history = await inNamespace('rollout', 'history', 'deployment/app');
    expect(history).toMatch(/^1\s+first$/m);
    expect(history).toMatch(/^2\s+second$/m);
  });
  expect(await inNamespace('rollout', 'history', 'deployment/app', '--revision=1')).toMatch(/VERSION:\s+1/);
  await inNamespace('rollout', 'undo', 'deployment/app', '--to-revision=1');
  await rolledOut();
  expect(await versionOf()).toBe('1');
  await eventually(async () =>
    expect((await deployment()).metadata?.annotations?.['deployment.kubernetes.io/revision']).toBe('3'),
  );

  await inNamespace('rollout', 'pause', 'deployment/app');
  await inNamespace('set', 'image', 'deployment/app', 'main=naru.dev/web:never');
  await eventually(async () => {
    const { status, metadata } = await deployment();
    expect(status?.observedGeneration).toBe(metadata?.generation);
    expect(status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Progressing', reason: 'DeploymentPaused' }),
    );
  });
  expect(await inNamespace('get', 'pods', '-o', 'jsonpath={.items[*].spec.containers[*].image}')).not.toContain(
    'never',
  );
  await inNamespace('set', 'image', 'deployment/app', 'main=naru.dev/web:v1');
  await inNamespace('rollout', 'resume', 'deployment/app');
  await rolledOut();

  const before = await inNamespace('get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}');
  await inNamespace('rollout', 'restart', 'deployment/app');
  await rolledOut();
  await eventually(async () => {
    const after = await inNamespace('get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}');
    for (const uid of before.split(' ')) expect(after).not.toContain(uid);
  });
  await inNamespace('scale', 'deployment/app', '--replicas=3', '--current-replicas=2');
  await rolledOut();
  expect((await deployment()).status?.readyReplicas).toBe(3);
});

test('the events of a deployment name the controllers that did it', async () => {
  await eventually(async () => {
    const { items } = await askJson<{ items: CoreEvent[] }>('-n', namespace, 'get', 'events');
    const sources = new Map(items.map(({ reason, source }) => [reason, source?.component]));
    expect(sources.get('ScalingReplicaSet')).toBe('deployment-controller');
    expect(sources.get('SuccessfulCreate')).toBe('replicaset-controller');
    expect(sources.get('Scheduled')).toBe('default-scheduler');
  });
});

test('kubectl create job --from makes a job of a cron job, of which it is then a part', async () => {
  const image = ['--image=naru.dev/web:v1', '--schedule=0 0 1 1 *'];
  await inNamespace('create', 'cronjob', 'yearly', ...image, '--', 'true');
  await inNamespace('create', 'job', 'now', '--from=cronjob/yearly');
  await kubectl(['-n', namespace, 'wait', '--for=condition=Complete', 'job/now', '--timeout=120s']);
  const job = await askJson<Job>('-n', namespace, 'get', 'job', 'now');
  const cronJob = await askJson<CronJob>('-n', namespace, 'get', 'cronjob', 'yearly');
  expect(job.metadata?.ownerReferences?.[0]).toMatchObject({ kind: 'CronJob', uid: cronJob.metadata?.uid });
  expect(job.metadata?.annotations?.['cronjob.kubernetes.io/instantiate']).toBe('manual');
});

test('kubectl autoscale gives a busy deployment more pods', async () => {
  await apply(`
apiVersion: apps/v1
kind: Deployment
metadata: { name: busy, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: busy } }
  template:
    metadata: { labels: { app: busy } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: naru.dev/web:v1
          command: [sh, -c, 'while :; do :; done']
          resources: { requests: { cpu: 50m }, limits: { cpu: 100m } }
`);
  // So little that it is busy even where it hardly gets its turn.
  await inNamespace('autoscale', 'deployment', 'busy', '--cpu-percent=10', '--min=1', '--max=2');
  await eventually(
    async () => {
      const { spec, status } = await askJson<HorizontalPodAutoscaler>('-n', namespace, 'get', 'hpa', 'busy');
      expect(spec.maxReplicas).toBe(2);
      expect(status?.desiredReplicas).toBe(2);
    },
    120_000,
    500,
  );
  await eventually(async () => {
    expect(await inNamespace('get', 'hpa', 'busy', '--no-headers')).toMatch(/cpu: \d+%\/10%/);
    expect(await inNamespace('describe', 'hpa', 'busy')).toContain(
      'New size: 2; reason: cpu resource utilization (percentage of request) above target',
    );
  });
});

test('a resource quota counts what a namespace uses, refuses what is too much, and gives back what goes', async () => {
  const quota = 'quota';
  await kubectl(['create', 'namespace', quota]);
  try {
    await ask('-n', quota, 'create', 'quota', 'q', '--hard=configmaps=3,count/deployments.apps=1,pods=2');
    const used = () => ask('-n', quota, 'get', 'quota', 'q', '-o', 'jsonpath={.status.used}');
    // The namespace has kube-root-ca.crt.
    const expectUsed = (wanted: Record<string, string>) =>
      eventually(async () => expect(JSON.parse(await used())).toEqual(wanted));
    await expectUsed({ configmaps: '1', 'count/deployments.apps': '0', pods: '0' });
    await ask('-n', quota, 'create', 'configmap', 'a');
    await ask('-n', quota, 'create', 'deployment', 'd', '--image=naru.dev/web:v1', '--replicas=4');
    await expectUsed({ configmaps: '2', 'count/deployments.apps': '1', pods: '2' });
    const refused = await kubectl(['-n', quota, 'create', 'deployment', 'e', '--image=naru.dev/web:v1'], {
      anyCode: true,
    });
    expect(refused.stderr).toContain('exceeded quota: q');
    await ask('-n', quota, 'delete', 'deployment', 'd');
    await ask('-n', quota, 'delete', 'configmap', 'a');
    await expectUsed({ configmaps: '1', 'count/deployments.apps': '0', pods: '0' });
  } finally {
    await kubectl(['delete', 'namespace', quota, '--wait=false']);
  }
});

test('kubectl certificate: an approved request is signed, and a kubelet needs nobody to approve its own', async () => {
  const request = async (
    name: string,
    signerName: string,
    subject: { commonName: string; organizations?: string[] },
  ) => {
    const csr = await createRequest({ subject });
    return JSON.stringify({
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name },
      spec: {
        signerName,
        request: Buffer.from(csr.request).toString('base64'),
        usages: ['digital signature', 'client auth'],
        expirationSeconds: 3600,
      },
    });
  };
  const certificateOf = (name: string) => ask('get', 'csr', name, '-o', 'jsonpath={.status.certificate}');
  await kubectl(['delete', 'csr', 'e2e-jane', 'e2e-kubelet', '--ignore-not-found']);
  await kubectl(['create', '-f', '-'], {
    input: await request('e2e-jane', 'kubernetes.io/kube-apiserver-client', { commonName: 'jane' }),
  });
  expect(await ask('get', 'csr', 'e2e-jane', '--no-headers')).toContain('Pending');
  await ask('certificate', 'approve', 'e2e-jane');
  await eventually(async () => expect(await certificateOf('e2e-jane')).not.toBe(''));
  expect(await ask('get', 'csr', 'e2e-jane', '--no-headers')).toContain('Approved,Issued');
  const node = { commonName: 'system:node:worker-1', organizations: ['system:nodes'] };
  await kubectl(
    ['create', '-f', '-', '--as=system:node:worker-1', '--as-group=system:nodes', '--as-group=system:authenticated'],
    {
      input: await request('e2e-kubelet', 'kubernetes.io/kube-apiserver-client-kubelet', node),
    },
  );
  await eventually(async () => expect(await certificateOf('e2e-kubelet')).not.toBe(''));
  await kubectl(['delete', 'csr', 'e2e-jane', 'e2e-kubelet']);
});
