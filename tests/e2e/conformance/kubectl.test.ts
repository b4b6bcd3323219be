import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask as kubectlAsk, follow, kubectl, run } from '../cluster';
import { ask, inNamespace, must, until } from '../rest';
import { idlePod, idleSpec, running } from './web-pod';

// Upstream's conformance tests of sig-cli that need a cluster or a process that goes on.
test.concurrent('kubectl logs shows the last lines, the first bytes, times, and what is recent', async () => {
  await inNamespace('logs', async (at, namespace) => {
    const lines = 'i=0; while true; do echo "line $i"; i=$((i+1)); sleep 0.1; done';
    await must('POST', `${at}/pods`, { metadata: { name: 'logs-generator' }, spec: idleSpec({}, {}, lines) });
    await until<Pod>(`${at}/pods/logs-generator`, running);
    // Untrimmed: the line breaks count.
    const logs = async (...flags: string[]): Promise<string> =>
      (await kubectl(['-n', namespace, 'logs', 'logs-generator', 'main', ...flags])).stdout;
    await eventually(async () => expect(await logs()).toContain('line 1\n'), 90_000, 200);
    expect(await logs('--tail=1')).toMatch(/^line \d+\n$/);
    expect(await logs('--limit-bytes=1')).toBe('l');
    expect(await logs('--tail=1', '--timestamps')).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d) line \d+\n$/,
    );
    await eventually(async () => expect(await logs()).toContain('line 30\n'), 90_000, 500);
    const count = (text: string): number => text.split('\n').length;
    const [recent, all] = [count(await logs('--since=1s')), count(await logs('--since=24h'))];
    expect(all).toBeGreaterThan(recent);
    expect(await logs('--since=24h')).toMatch(/^line 0\n/);
  });
});

test.concurrent('kubectl proxy listens at a socket, and at a port that it chooses', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'naru-proxy-'));
  const socket = path.join(folder, 'test');
  const proxies = [follow(['proxy', `--unix-socket=${socket}`]), follow(['proxy', '-p', '0', '--disable-filter'])];
  try {
    const [, byPort] = proxies;
    await eventually(() => expect(byPort?.output()).toMatch(/127\.0\.0\.1:\d+\n/));
    const local = /127\.0\.0\.1:\d+/.exec(byPort?.output() ?? '')?.[0];
    const read = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await run('curl', ['-sf', '--max-time', '60', ...args])).stdout);
    const versions = expect.objectContaining({ kind: 'APIVersions', versions: ['v1'] }) as object;
    expect(await read(`http://${local}/api/`)).toEqual(versions);
    await eventually(async () =>
      expect(await read('--unix-socket', socket, 'http://localhost/api/')).toEqual(versions),
    );
  } finally {
    for (const { child } of proxies) child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});

test.concurrent(
  'kubectl creates, describes, exposes, scales and deletes a replication controller with its pods',
  async () => {
    await inNamespace('nautilus', async (at, namespace) => {
      const labels = { name: 'update-demo' };
      const manifest = {
        apiVersion: 'v1',
        kind: 'ReplicationController',
        metadata: { name: 'update-demo' },
        spec: { replicas: 2, selector: labels, template: { metadata: { labels }, spec: idleSpec() } },
      };
      await kubectl(['-n', namespace, 'create', '-f', '-'], { input: JSON.stringify(manifest) });
      const run = (count: number): Promise<unknown> =>
        until<{ items: Pod[] }>(`${at}/pods`, ({ items }) => {
          expect(items).toHaveLength(count);
          items.forEach(running);
        });
      await run(2);
      const say = (...args: string[]): Promise<string> => kubectlAsk('-n', namespace, ...args);
      const [{ metadata: { name = '' } = {}, spec, status }] = (await must<{ items: [Pod] }>('GET', `${at}/pods`))
        .items;
      // Events, and counts in a status, come after what they tell of.
      const describes = (what: string, called: string, ...lines: RegExp[]): Promise<void> =>
        eventually(
          async () => {
            const text = await say('describe', what, called);
            for (const line of lines) expect(text).toMatch(line);
          },
          90_000,
          200,
        );
      await describes(
        'rc',
        'update-demo',
        /^Name: +update-demo\nNamespace: +nautilus-/,
        /Selector: +name=update-demo\n/,
        /Replicas: +2 current \/ 2 desired\nPods Status: +2 Running \/ 0 Waiting \/ 0 Succeeded \/ 0 Failed\n/,
        /Image: +naru\.dev\/web:v1\n/,
        /SuccessfulCreate +\S+ +replication-controller +Created pod: update-demo-/,
      );
      await describes(
        'pod',
        name,
        new RegExp(`^Name: +${name}\\nNamespace: +${namespace}\\n`),
        new RegExp(`Node: +${spec?.nodeName}/`),
        /Labels: +name=update-demo\n/,
        new RegExp(`Status: +Running\\nIP: +${status?.podIP}\\n`),
        /Controlled By: +ReplicationController\/update-demo\n/,
        /State: +Running\n/,
        /QoS Class: +BestEffort\n/,
      );
      await describes('node', spec?.nodeName ?? '', /Roles: /, /Conditions:\n/, /KubeletVersion|Kubelet Version/);
      await describes('namespace', namespace, new RegExp(`^Name: +${namespace}\\n`), /Status: +Active\n/);
      for (const [source, service, port] of [
        ['rc/update-demo', 'rm2', 1234],
        ['service/rm2', 'rm3', 2345],
      ]) {
        await say('expose', `${source}`, `--name=${service}`, `--port=${port}`, '--target-port=6379');
        await until(`${at}/endpoints/${service}`, ({ subsets }) => {
          expect(subsets?.[0]?.addresses).toHaveLength(2);
          expect(subsets[0].ports).toMatchObject([{ port: 6379 }]);
        });
      }
      await describes('service', 'rm2', /Selector: +name=update-demo\n[^]*Port: +<unset> +1234\/TCP\n/);
      await say('patch', 'pod', name, '-p', '{"metadata":{"annotations":{"x":"y"}}}');
      expect((await must<Pod>('GET', `${at}/pods/${name}`)).metadata?.annotations).toMatchObject({ x: 'y' });

      await kubectlAsk('-n', namespace, 'scale', 'rc', 'update-demo', '--replicas=1', '--timeout=5m');
      await run(1);
      await kubectlAsk('-n', namespace, 'scale', 'rc', 'update-demo', '--replicas=2', '--timeout=5m');
      await run(2);
      await kubectlAsk('-n', namespace, 'delete', 'rc', 'update-demo');
      await run(0);
    });
  },
);

test.concurrent('kubectl changes an image on trial, and the pod keeps its own until it is replaced', async () => {
  await inNamespace('dry-run', async (at, namespace) => {
    await must('POST', `${at}/pods`, idlePod('e2e-test-httpd-pod'));
    await until<Pod>(`${at}/pods/e2e-test-httpd-pod`, running);
    const container = [{ name: 'main', image: 'naru.dev/web:v2' }];
    const patch = JSON.stringify({ spec: { containers: container } });
    await kubectlAsk('-n', namespace, 'patch', 'pod', 'e2e-test-httpd-pod', '-p', patch, '--dry-run=server');
    const pod = await must<Pod>('GET', `${at}/pods/e2e-test-httpd-pod`);
    expect(pod.spec?.containers[0]?.image).toBe('naru.dev/web:v1');
    // The manifest has a resource version, so the kubelet's next status may come between.
    await eventually(async () => {
      const manifest = await kubectlAsk('-n', namespace, 'get', 'pod', 'e2e-test-httpd-pod', '-o', 'json');
      const input = manifest.replaceAll('naru.dev/web:v1', 'naru.dev/conformance:v1');
      await kubectl(['-n', namespace, 'replace', '-f', '-'], { input });
    }, 90_000);
    const replaced = await must<Pod>('GET', `${at}/pods/e2e-test-httpd-pod`);
    expect(replaced.spec?.containers[0]?.image).toBe('naru.dev/conformance:v1');
  });
});

const program = (name: string, replicas: number): object[] => {
  const labels = { app: 'guestbook', tier: name };
  const spec = {
    ...idleSpec(
      {
        volumes: [{ name: 'www', configMap: { name: 'guestbook', defaultMode: 0o755 } }],
        terminationGracePeriodSeconds: 0,
      },
      {
        ports: [{ containerPort: 8080 }],
        volumeMounts: [{ name: 'www', mountPath: '/tmp/www/cgi-bin' }],
        env: [{ name: 'TIER', value: name }],
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
      },
      'exec httpd -f -p 8080 -h /tmp/www',
    ),
  };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, labels },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    },
  ];
};

/** Front ends write to the primary and read from the replicas, which read from the primary: by the names of Services. */
const guestbook = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
case "$TIER $QUERY_STRING" in
  'primary get') cat /tmp/messages 2>/dev/null ;;
  'primary set='*) echo "\${QUERY_STRING#set=}" >>/tmp/messages ;;
  'replica get') wget -qO- http://primary/cgi-bin/guestbook?get ;;
  'frontend get') wget -qO- http://replica/cgi-bin/guestbook?get ;;
  'frontend set='*) wget -qO- "http://primary/cgi-bin/guestbook?$QUERY_STRING" && echo updated ;;
esac
`;

test.concurrent('a guestbook of front ends, a primary and replicas keeps what is written in it', async () => {
  await inNamespace('guestbook', async (at, namespace) => {
    const script = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'guestbook' }, data: { guestbook } };
    const items = [script, ...program('primary', 1), ...program('replica', 2), ...program('frontend', 3)];
    await apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }), '-n', namespace);
    await until<{ items: Pod[] }>(`${at}/pods`, ({ items: pods }) => {
      expect(pods).toHaveLength(6);
      for (const { status } of pods)
        expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
    });
    const frontend = (query: string): Promise<string> =>
      eventually(
        async () => {
          const { code, body } = await ask<string>('GET', `${at}/services/frontend/proxy/cgi-bin/guestbook?${query}`);
          expect([code, body]).toEqual([200, expect.stringMatching(query === 'get' ? /TestEntry/ : /updated/)]);
          return body;
        },
        90_000,
        300,
      );
    await frontend('set=TestEntry');
    expect(await frontend('get')).toContain('TestEntry');
  });
});
