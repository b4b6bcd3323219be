import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { eventually } from '@naru/testing';
import { apply, ask, createNamespace, follow, kubeconfig, kubectl, repository, run } from './cluster';
import { testUnlessOnContainerd } from './test-unless-on-containerd';

const namespace = 'streams';
const inNamespace = (...args: string[]): string[] => ['-n', namespace, ...args];

const manifest = `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  terminationGracePeriodSeconds: 0
  containers: [{ name: main, image: 'naru.dev/web:v1', imagePullPolicy: Never, ports: [{ name: http, containerPort: 8080 }] }]
---
apiVersion: v1
kind: Pod
metadata: { name: reader }
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    stdin: true
    command: [sh, -c, 'while read line; do echo "got $line"; done']
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
`;

/** What a terminal shows of a command. */
async function withTerminal(command: string, env: Record<string, string>): Promise<string> {
  const { stdout } = await run('script', ['-qec', command, '/dev/null'], { env: { KUBECONFIG: kubeconfig, ...env } });
  // At the end of its own input script sends an end-of-file key, which a raw terminal passes on and another echoes.
  return stdout.replace(/\0|\^@/g, '');
}

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'naru-streams-'));
  await createNamespace(namespace);
  await apply(manifest, '-n', namespace);
  await kubectl(inNamespace('wait', '--for=condition=Ready', 'pod/web', 'pod/reader', '--timeout=120s'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await kubectl(['delete', 'namespace', namespace, '--wait=false'], { anyCode: true });
});

describe.each([
  ['WebSocket', {}],
  ['SPDY', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }],
])('over %s', (name, env: Record<string, string>) => {
  test('kubectl exec has both outputs, input to its end, and the exit code', async () => {
    const command = ['--', 'sh', '-c', 'cat; echo err >&2; exit 7'];
    const outcome = await kubectl(inNamespace('exec', '-i', 'web', '-c', 'main', ...command), {
      env,
      input: 'in',
      anyCode: true,
    });
    expect(outcome).toMatchObject({ code: 7, stdout: 'in' });
    expect(outcome.stderr).toMatch(/^err\n/);
  });

  test('kubectl exec of a command that is not there says so', async () => {
    const outcome = await kubectl(inNamespace('exec', 'web', '--', 'no-such-command'), { env, anyCode: true });
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(
      /^error: Internal error occurred: error executing command in container: .*not found/m,
    );
  });

  test('kubectl exec -t has a terminal of the size that the client has', async () => {
    const exec = `stty rows 33 cols 111; kubectl -n ${namespace} exec -it web -- sh -c 'until [ "$(stty size)" = "33 111" ]; do sleep 0.1; done; echo sized'`;
    expect(await withTerminal(exec, env)).toContain('sized');
  });

  test('kubectl exec -t shows all of what short commands say, however many there are at once', async () => {
    const numbers = Array.from({ length: 8 }, (_, index) => index);
    const shown = await Promise.all(
      numbers.map(number =>
        withTerminal(`kubectl -n ${namespace} exec -it web -c main -- sh -c 'echo first ${number}; printf last'`, env),
      ),
    );
    expect(shown).toEqual(numbers.map(number => `first ${number}\r\nlast`));
  });

  test('kubectl run -it --rm shows what its pod says, also when that ends at once', async () => {
    const flags = '-it --rm --quiet --restart=Never --image=naru.dev/web:v1 --image-pull-policy=Never';
    const pod = `at-once-${name.toLowerCase()}`;
    const shown = await withTerminal(`kubectl -n ${namespace} run ${pod} ${flags} -- sh -c 'printf said'`, env);
    expect(shown).toContain('said');
  });

  test('kubectl attach takes input and shows what comes of it', async () => {
    const child = spawn('kubectl', inNamespace('attach', '-i', 'reader'), {
      env: { ...process.env, KUBECONFIG: kubeconfig, ...env },
    });
    let output = '';
    child.stdout.on('data', chunk => (output += String(chunk)));
    child.stderr.on('data', chunk => (output += String(chunk)));
    try {
      await eventually(() => expect(output).toMatch(/pressing enter/));
      child.stdin.write(`${name}\n`);
      await eventually(() => expect(output).toContain(`got ${name}`));
    } finally {
      child.kill();
    }
  });

  test('kubectl cp carries files in both directions', async () => {
    const there = path.join(folder, 'there');
    const back = path.join(folder, 'back');
    writeFileSync(there, `${name} `.repeat(300_000));
    await kubectl(inNamespace('cp', there, 'web:/tmp/copy'), { env });
    await kubectl(inNamespace('cp', 'web:/tmp/copy', back), { env });
    expect(readFileSync(back).equals(readFileSync(there))).toBe(true);
  });

  test('kubectl port-forward reaches a pod and a Service', async () => {
    for (const target of ['pod/web', 'service/web']) {
      const port = target === 'pod/web' ? '8080' : '80';
      const forward = spawn('kubectl', inNamespace('port-forward', target, `:${port}`), {
        env: { ...process.env, KUBECONFIG: kubeconfig, ...env },
      });
      let output = '';
      forward.stdout.on('data', chunk => (output += String(chunk)));
      try {
        await eventually(() => expect(output).toMatch(/Forwarding from 127\.0\.0\.1:\d+/));
        const local = /127\.0\.0\.1:(\d+)/.exec(output)![1]!;
        expect((await run('curl', ['-sf', `http://127.0.0.1:${local}/`])).stdout).toContain('web');
      } finally {
        forward.kill();
      }
    }
  });

  test('kubectl run -i --rm gives its input to a new pod, and removes it', async () => {
    const pod = `once-${name.toLowerCase()}`;
    const image = ['--image=naru.dev/web:v1', '--image-pull-policy=Never', '--restart=Never'];
    const flags = ['run', pod, '-i', '--rm', '--quiet', ...image, '--', 'sh', '-c', 'read line; echo "heard $line"'];
    const { stdout } = await kubectl(inNamespace(...flags), { env, input: 'hello\n' });
    expect(stdout).toContain('heard hello');
    // kubectl does not wait for its end.
    await eventually(async () =>
      expect((await kubectl(inNamespace('get', 'pod', pod), { anyCode: true })).stderr).toContain('not found'),
    );
  });

  testUnlessOnContainerd('kubectl debug runs a container beside those of the pod', async () => {
    const flags = ['debug', 'web', '-i', '--quiet', '--profile=general', '--target=main', '--image=naru.dev/web:v1'];
    const more = ['--image-pull-policy=Never', `--container=look-${name.toLowerCase()}`, '--', 'sh', '-c'];
    const { stdout } = await kubectl(inNamespace(...flags, ...more, 'read line; echo "saw $line"; hostname'), {
      env,
      input: 'it\n',
    });
    expect(stdout).toMatch(/saw it\nweb/);
  });
});

test('the proxies reach a pod and a Service of the cluster', async () => {
  const base = `/api/v1/namespaces/${namespace}`;
  for (const place of ['pods/web', 'pods/http:web:8080', 'services/web', 'services/web:80', 'services/http:web:80'])
    expect(await eventually(() => ask('get', '--raw', `${base}/${place}/proxy/`))).toContain('web');
  const refused = await kubectl(['get', '--raw', `${base}/pods/web:81/proxy/`], { anyCode: true });
  expect(refused.stderr).toMatch(/ServiceUnavailable.*connection refused/);
  const [node] = (await ask('get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ');
  expect(await ask('get', '--raw', `/api/v1/nodes/${node}/proxy/healthz`)).toBe('ok');
});

test('kubectl proxy serves the API and the pages of a Service', async () => {
  const { child, output } = follow(['proxy', '--port=0']);
  try {
    await eventually(() => expect(output()).toMatch(/127\.0\.0\.1:\d+/));
    const local = /127\.0\.0\.1:\d+/.exec(output())![0];
    const read = async (url: string): Promise<string> => (await run('curl', ['-sfL', `http://${local}${url}`])).stdout;
    // What is built outside of git knows of no commit.
    const gitCommit = existsSync(path.join(repository, '.git')) ? /^[0-9a-f]{40}$/ : /^$/;
    expect(JSON.parse(await read('/version'))).toMatchObject({ gitCommit: expect.stringMatching(gitCommit) });
    expect(await read(`/api/v1/namespaces/${namespace}/services/web/proxy`)).toContain('web');
  } finally {
    child.kill();
  }
});
