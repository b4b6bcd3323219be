import type { Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { ask, inNamespace, must, until, untilGone, type Loose } from '../rest';
import { image } from './node-pod-cases';
import { idlePod, idleSpec, running } from './web-pod';

// Upstream's conformance tests of workloads, namespaces and service accounts that need a whole cluster.
const labels = { app: 'e2e' };
const selector = { matchLabels: labels };
const podsOf = async (path: string): Promise<Pod[]> => (await must<{ items: Pod[] }>('GET', `${path}/pods`)).items;

test.concurrent('a pod of a stateful set that its node refuses is made anew, until it may run', async () => {
  await inNamespace('refused', async (path, namespace) => {
    const ports = { ports: [{ containerPort: 21017, hostPort: 21017 }] };
    await must('POST', `${path}/pods`, idlePod('test-pod', { terminationGracePeriodSeconds: 1 }, ports));
    const holder = await until<Pod>(`${path}/pods/test-pod`, running);
    // Without a scheduler: only the node can see that the port is taken.
    const spec = idleSpec({ nodeName: holder.spec?.nodeName ?? '' }, ports);
    await must('POST', `/apis/apps/v1/namespaces/${namespace}/statefulsets`, {
      metadata: { name: 'ss' },
      spec: { replicas: 1, serviceName: 'test', selector, template: { metadata: { labels }, spec } },
    });
    const seen = new Set<string>();
    await eventually(
      async () => {
        const { code, body } = await ask('GET', `${path}/pods/ss-0`);
        if (code === 200) seen.add(body['metadata'].uid as string);
        expect(seen.size).toBeGreaterThanOrEqual(2);
      },
      90_000,
      50,
    );
    await must('DELETE', `${path}/pods/test-pod`);
    await until<Pod>(`${path}/pods/ss-0`, running);
  });
});

const sets = [
  { kind: 'ReplicationController', group: '/api/v1', resource: 'replicationcontrollers', selects: labels },
  { kind: 'ReplicaSet', group: '/apis/apps/v1', resource: 'replicasets', selects: selector },
];

test.concurrent.each(sets)('a $kind says that a quota keeps its pods away, and no more when it does not', async row => {
  await inNamespace('condition', async (path, namespace) => {
    await must('POST', `${path}/resourcequotas`, {
      metadata: { name: 'condition-test' },
      spec: { hard: { pods: '2' } },
    });
    await until(`${path}/resourcequotas/condition-test`, ({ status }) => expect(status?.used).toEqual({ pods: '0' }));
    const url = `${row.group}/namespaces/${namespace}/${row.resource}`;
    // No node is theirs: they need not run.
    const spec = idleSpec({ nodeSelector: { 'naru.test/nowhere': 'yes' } });
    await must('POST', url, {
      metadata: { name: 'condition-test' },
      spec: { replicas: 3, selector: row.selects, template: { metadata: { labels }, spec } },
    });
    const failing = expect.objectContaining({
      type: 'ReplicaFailure',
      status: 'True',
      reason: 'FailedCreate',
    }) as object;
    const set = await until(`${url}/condition-test`, ({ status, metadata }) => {
      expect(status.observedGeneration).toBe(metadata.generation);
      expect(status.conditions ?? []).toContainEqual(failing);
    });
    expect(set['status'].conditions[0].message).toContain('exceeded quota: condition-test');
    await must('PATCH', `${url}/condition-test`, { spec: { replicas: 2 } });
    await until(`${url}/condition-test`, ({ status, metadata }) => {
      expect(status.observedGeneration).toBe(metadata.generation);
      expect(status.conditions ?? []).not.toContainEqual(expect.objectContaining({ type: 'ReplicaFailure' }));
    });
  });
});

test.concurrent('a job whose tasks fail now and then and are restarted in place completes', async () => {
  await inNamespace('restarts', async (path, namespace) => {
    // Each pod fails once: what it left in its volume lets the container's next run succeed.
    const spec = {
      ...idleSpec(
        { restartPolicy: 'OnFailure', volumes: [{ name: 'data', emptyDir: {} }] },
        { volumeMounts: [{ name: 'data', mountPath: '/data' }] },
        'if [ -e /data/tried ]; then exit 0; fi; touch /data/tried; exit 1',
      ),
    };
    const url = `/apis/batch/v1/namespaces/${namespace}/jobs`;
    await must('POST', url, {
      metadata: { name: 'fail-once-local' },
      spec: { parallelism: 2, completions: 4, template: { spec } },
    });
    const job = await until(`${url}/fail-once-local`, ({ status }) => {
      expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Complete', status: 'True' }));
    });
    expect(job['status']).toMatchObject({ succeeded: 4 });
    expect(job['status'].failed ?? 0).toBe(0);
    const restarts = (await podsOf(path)).map(({ status }) => status?.containerStatuses?.[0]?.restartCount);
    expect(restarts).toEqual([1, 1, 1, 1]);
  });
});

test.concurrent('a namespace that is deleted takes its pods and services with it, and comes back empty', async () => {
  const path = '/api/v1/namespaces/nsdeletetest';
  const create = async (): Promise<void> => {
    await must('POST', '/api/v1/namespaces', { metadata: { name: 'nsdeletetest' } });
    await eventually(() => must('GET', `${path}/serviceaccounts/default`), 90_000, 100);
  };
  await create();
  try {
    await must('POST', `${path}/services`, {
      metadata: { name: 'test-service' },
      spec: { selector: { foo: 'bar' }, ports: [{ port: 80, targetPort: 80 }] },
    });
    await must('POST', `${path}/pods`, idlePod('test-pod', { terminationGracePeriodSeconds: 1 }));
    await until<Pod>(`${path}/pods/test-pod`, running);
    await must('DELETE', path);
    await untilGone(path);
    await create();
    for (const kind of ['pods', 'services'])
      expect((await must<{ items: Loose[] }>('GET', `${path}/${kind}`)).items).toEqual([]);
  } finally {
    await ask('DELETE', path);
  }
});

test.concurrent('a namespace that is deleted keeps what its pods use until the last of them is gone', async () => {
  await inNamespace('nsorderedtest', async (path, namespace) => {
    const pod = idlePod('test-pod', { terminationGracePeriodSeconds: 1 });
    const finalizers = ['e2e.example.com/finalizer'];
    await must('POST', `${path}/pods`, { ...pod, metadata: { name: 'test-pod', finalizers } });
    await until<Pod>(`${path}/pods/test-pod`, running);
    await must('POST', `${path}/configmaps`, { metadata: { name: 'test-configmap' }, data: { key: 'value' } });
    await must('DELETE', path);
    await until(path, ({ status: found }) => {
      for (const condition of [
        { type: 'NamespaceContentRemaining', status: 'True' },
        { type: 'NamespaceDeletionContentFailure', status: 'False', reason: 'ContentDeleted' },
      ])
        expect(found.conditions).toContainEqual(expect.objectContaining(condition));
    });
    expect((await must('GET', `${path}/pods/test-pod`))['metadata'].deletionTimestamp).toBeDefined();
    // Its containers are gone, and only the finalizer is left of it: all the same nothing else has been deleted.
    await until<Pod>(`${path}/pods/test-pod`, ({ status: found }) =>
      expect(found?.containerStatuses?.[0]?.state?.terminated).toBeDefined(),
    );
    const { metadata } = await must('GET', `${path}/configmaps/test-configmap`);
    expect(metadata).not.toHaveProperty('deletionTimestamp');
    await must('PATCH', `${path}/pods/test-pod`, { metadata: { finalizers: null } });
    await untilGone(path);
    await must('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    for (const url of ['pods/test-pod', 'configmaps/test-configmap'])
      expect((await ask('GET', `${path}/${url}`)).code).toBe(404);
  });
});

const mount = '/var/run/secrets/kubernetes.io/serviceaccount';

test.concurrent(
  "pods have their account's token, the authority and their namespace, and projected tokens of their own",
  async () => {
    await inNamespace('tokens', async (path, namespace) => {
      const volume = {
        name: 'own',
        projected: {
          sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3600, audience: 'e2e-audience' } }],
        },
      };
      const show = `for f in ${mount}/token ${mount}/ca.crt ${mount}/namespace /own/token; do cat $f; echo; echo =====; done; stat -L -c %a /own/token; exec sleep 100000`;
      const spec = idleSpec(
        { volumes: [volume], securityContext: { fsGroup: 10000 } },
        { volumeMounts: [{ name: 'own', mountPath: '/own' }] },
        show,
      );
      const { metadata } = await must('POST', `${path}/pods`, { metadata: { name: 'tokens' }, spec });
      const pod = await until<Pod>(`${path}/pods/tokens`, running);
      const said = await eventually(
        async () => {
          const { body } = await ask<string>('GET', `${path}/pods/tokens/log`);
          expect(String(body)).toMatch(/\n\d{3}\n$/);
          return String(body)
            .split('=====')
            .map(part => part.trim());
        },
        90_000,
        200,
      );
      const [token, authority, own, projected, mode] = said;
      expect(own).toBe(namespace);
      const root = await must('GET', `${path}/configmaps/kube-root-ca.crt`);
      expect(authority).toBe(String(root['data']['ca.crt']).trim());
      expect(mode).toBe('640');
      const review = async (text: string | undefined, audiences?: string[]): Promise<Loose> =>
        (
          await must('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
            spec: { token: text, ...(audiences ? { audiences } : {}) },
          })
        )['status'] as Loose;
      const user = {
        username: `system:serviceaccount:${namespace}:default`,
        groups: expect.arrayContaining(['system:serviceaccounts', `system:serviceaccounts:${namespace}`]) as string[],
        extra: {
          'authentication.kubernetes.io/pod-name': ['tokens'],
          'authentication.kubernetes.io/pod-uid': [metadata.uid as string],
          'authentication.kubernetes.io/node-name': [pod.spec?.nodeName],
        },
      };
      expect(await review(token)).toMatchObject({ authenticated: true, user });
      expect(await review(projected, ['e2e-audience'])).toMatchObject({
        authenticated: true,
        audiences: ['e2e-audience'],
        user,
      });
      // It is for others than this server.
      expect((await review(projected))['authenticated'] ?? false).toBe(false);
    });
  },
);

test.concurrent('a pod proves the token that it has by the discovery of its issuer', async () => {
  await inNamespace('issuer', async (path, namespace) => {
    const sources = [{ serviceAccountToken: { path: 'token', audience: 'oidc-discovery-test' } }];
    const spec = idleSpec(
      { restartPolicy: 'Never', volumes: [{ name: 'token', projected: { sources } }] },
      { image, volumeMounts: [{ name: 'token', mountPath: '/token' }] },
    );
    delete spec.containers[0]!.command;
    spec.containers[0]!.args = ['--prove-token', '/token/token'];
    await must('POST', `${path}/pods`, { metadata: { name: 'oidc-discovery-validator' }, spec });
    const pod = await until<Pod>(`${path}/pods/oidc-discovery-validator`, ({ status }) =>
      expect(['Succeeded', 'Failed']).toContain(status?.phase),
    );
    const { body } = await ask('GET', `${path}/pods/oidc-discovery-validator/log`);
    expect(body).toMatchObject({
      aud: ['oidc-discovery-test'],
      sub: `system:serviceaccount:${namespace}:default`,
      'kubernetes.io': { pod: { name: 'oidc-discovery-validator' } },
    });
    expect(pod.status?.phase).toBe('Succeeded');
  });
});

test.concurrent('the authority of the cluster is in every namespace, comes back and stays as it is', async () => {
  await inNamespace('root-ca', async path => {
    const url = `${path}/configmaps/kube-root-ca.crt`;
    const { data } = await until(url, ({ data: found }) => expect(found['ca.crt']).toContain('BEGIN CERTIFICATE'));
    await must('DELETE', url);
    await eventually(() => must('GET', url), 90_000, 100);
    await must('PATCH', url, { data: { 'ca.crt': '' } });
    await until(url, ({ data: found }) => expect(found).toEqual(data));
  });
});
