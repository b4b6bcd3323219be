import type { Container, Pod } from '@naru/api';
import { containerHash } from './container-hash';
import { decide, type DecisionInput, type PodPlan } from './decide';
import type { ContainerPhase, ContainerRecord, PodRuntime, SandboxRecord } from './runtime-state';

const image = 'busybox';

function pod(spec: Partial<NonNullable<Pod['spec']>> = {}): Pod {
  return {
    metadata: { name: 'p', namespace: 'n', uid: 'u' },
    spec: { containers: [{ name: 'a', image }], restartPolicy: 'Always', ...spec },
  };
}

function sandbox(more: Partial<SandboxRecord> = {}): SandboxRecord {
  return { id: 's0', ready: true, attempt: 0, createdAt: 1, ips: ['10.0.0.1'], hostNetwork: false, ...more };
}

function record(name: string, phase: ContainerPhase, more: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    id: `${name}-0`,
    name,
    sandboxId: 's0',
    phase,
    attempt: 0,
    restartCount: 0,
    round: 0,
    hash: containerHash({ name, image }),
    createdAt: 2,
    startedAt: 3,
    finishedAt: phase === 'exited' ? 4 : 0,
    exitCode: 0,
    reason: '',
    message: '',
    image,
    imageRef: '',
    logPath: '',
    messagePath: '',
    messagePolicy: 'File',
    messageHostPath: '',
    recursiveReadOnly: [],
    preStop: undefined,
    gracePeriodSeconds: undefined,
    user: undefined,
    resources: undefined,
    stopSignal: undefined,
    ...more,
  };
}

function runtime(sandboxes: SandboxRecord[], containers: ContainerRecord[] = []): PodRuntime {
  return { uid: 'u', name: 'p', namespace: 'n', sandboxes, containers };
}

function plan(input: Pod, state: PodRuntime, more: Partial<DecisionInput> = {}): PodPlan {
  return decide({ pod: input, runtime: state, probe: () => undefined, backOffMs: () => 0, ...more });
}

/** A plan in one line: what it creates, starts, kills and waits for. */
function brief(result: PodPlan): string {
  return [
    ...(result.killPod ? ['killPod'] : []),
    ...(result.createSandbox ? [`sandbox#${result.sandboxAttempt}`] : []),
    ...result.kill.map(kill => `kill ${kill.record.name} ${kill.reason}`),
    ...result.start.map(start => `start ${start.kind} ${start.container.name}#${start.attempt}`),
    ...result.waiting.map(wait => `wait ${wait.container.name}`),
    ...(result.finished ? ['finished'] : []),
  ].join(', ');
}

const trigger = record('a', 'exited', { exitCode: 42 });
const restartingAll = pod({
  restartPolicy: 'Never',
  initContainers: [
    { name: 'i', image },
    { name: 's', image, restartPolicy: 'Always' },
  ],
  containers: [
    {
      name: 'a',
      image,
      restartPolicy: 'Never',
      restartPolicyRules: [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } }],
    },
    { name: 'b', image },
  ],
});

const init = (name: string, more: Partial<Container> = {}): Container => ({ name, image, ...more });
const sidecar = (name: string, more: Partial<Container> = {}): Container =>
  init(name, { restartPolicy: 'Always', ...more });

describe('decide', () => {
  const cases: [string, Pod, PodRuntime, string, Partial<DecisionInput>?][] = [
    ['creates the sandbox and starts all mains of a new pod', pod(), runtime([]), 'sandbox#0, start main a#0'],
    ['leaves a running pod alone', pod(), runtime([sandbox()], [record('a', 'running')]), ''],
    ['starts what the sandbox lacks', pod(), runtime([sandbox()]), 'start main a#0'],
    [
      'restarts an ended container under Always',
      pod(),
      runtime([sandbox()], [record('a', 'exited', { restartCount: 3 })]),
      'start main a#4',
    ],
    [
      'waits while the back-off lasts',
      pod(),
      runtime([sandbox()], [record('a', 'exited', { exitCode: 1 })]),
      'wait a',
      { backOffMs: () => 5_000 },
    ],
    [
      'finishes a pod that succeeded under OnFailure',
      pod({ restartPolicy: 'OnFailure' }),
      runtime([sandbox()], [record('a', 'exited')]),
      'killPod, finished',
    ],
    [
      'restarts a failure under OnFailure',
      pod({ restartPolicy: 'OnFailure' }),
      runtime([sandbox()], [record('a', 'exited', { exitCode: 2 })]),
      'start main a#1',
    ],
    [
      'keeps a Never pod whose other container still runs',
      pod({ restartPolicy: 'Never', containers: [init('a'), init('b')] }),
      runtime([sandbox()], [record('a', 'exited', { exitCode: 1 }), record('b', 'running')]),
      '',
    ],
    [
      'kills a container whose liveness probe failed',
      pod({ containers: [init('a', { livenessProbe: {} })] }),
      runtime([sandbox()], [record('a', 'running')]),
      'kill a LivenessProbe',
      { probe: (_id, type) => (type === 'liveness' ? false : undefined) },
    ],
    [
      'kills a container whose image changed',
      pod({ containers: [{ name: 'a', image: 'other' }] }),
      runtime([sandbox()], [record('a', 'running')]),
      'kill a Changed',
    ],
    [
      'replaces a sandbox that died, with its containers',
      pod(),
      runtime([sandbox({ ready: false })], [record('a', 'exited', { exitCode: 137 })]),
      'sandbox#1, start main a#1',
    ],
    [
      'does not set up a Never pod again whose sandbox died',
      pod({ restartPolicy: 'Never' }),
      runtime([sandbox({ ready: false })], [record('a', 'exited', { exitCode: 137 })]),
      'killPod, finished',
    ],
    [
      'replaces a sandbox without an address',
      pod(),
      runtime([sandbox({ ips: [] })]),
      'killPod, sandbox#1, start main a#0',
    ],
    [
      'starts the first init container before everything else',
      pod({ initContainers: [init('i'), init('j')] }),
      runtime([]),
      'sandbox#0, start init i#0',
    ],
    [
      'waits for a running init container',
      pod({ initContainers: [init('i'), init('j')] }),
      runtime([sandbox()], [record('i', 'running')]),
      '',
    ],
    [
      'starts the next init container after the first succeeded',
      pod({ initContainers: [init('i'), init('j')] }),
      runtime([sandbox()], [record('i', 'exited')]),
      'start init j#0',
    ],
    [
      'starts mains after all init containers',
      pod({ initContainers: [init('i'), init('j')] }),
      runtime([sandbox()], [record('i', 'exited'), record('j', 'exited')]),
      'start main a#0',
    ],
    [
      'restarts a failed init container',
      pod({ initContainers: [init('i')] }),
      runtime([sandbox()], [record('i', 'exited', { exitCode: 1 })]),
      'start init i#1',
    ],
    [
      'fails a Never pod whose init container failed',
      pod({ restartPolicy: 'Never', initContainers: [init('i')] }),
      runtime([sandbox()], [record('i', 'exited', { exitCode: 1 })]),
      'killPod, finished',
    ],
    [
      'runs init containers again in a new sandbox',
      pod({ initContainers: [init('i')] }),
      runtime([sandbox({ ready: false })], [record('a', 'exited', { exitCode: 137 }), record('i', 'exited')]),
      'sandbox#1, start init i#1',
    ],
    [
      'does not run an init container again that was tidied away',
      pod({ initContainers: [init('i'), init('j')] }),
      runtime([sandbox()], [record('j', 'running')]),
      '',
    ],
    [
      'starts a sidecar alone first',
      pod({ initContainers: [sidecar('s')] }),
      runtime([]),
      'sandbox#0, start sidecar s#0',
    ],
    [
      'starts mains once the sidecar runs',
      pod({ initContainers: [sidecar('s')] }),
      runtime([sandbox()], [record('s', 'running')]),
      'start main a#0',
    ],
    [
      'waits for the startup probe of a sidecar',
      pod({ initContainers: [sidecar('s', { startupProbe: {} })] }),
      runtime([sandbox()], [record('s', 'running')]),
      '',
    ],
    [
      'restarts a sidecar that ended, beside running mains',
      pod({ initContainers: [sidecar('s')] }),
      runtime([sandbox()], [record('a', 'running'), record('s', 'exited')]),
      'start sidecar s#1',
    ],
    [
      'ends sidecars when the mains are done',
      pod({ restartPolicy: 'Never', initContainers: [sidecar('s')] }),
      runtime([sandbox()], [record('a', 'exited'), record('s', 'running')]),
      'killPod, finished',
    ],
    [
      'starts an ephemeral container once',
      pod({ ephemeralContainers: [{ name: 'debug', image }] }),
      runtime([sandbox()], [record('a', 'running')]),
      'start ephemeral debug#0',
    ],
    [
      'follows the exit code rules of a container',
      pod({
        restartPolicy: 'Never',
        containers: [
          init('a', {
            restartPolicy: 'Never',
            restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
          }),
        ],
      }),
      runtime([sandbox()], [record('a', 'exited', { exitCode: 42 })]),
      'start main a#1',
    ],
    [
      'ends all containers when a rule wants them all restarted',
      restartingAll,
      runtime([sandbox()], [record('i', 'exited'), record('s', 'running'), trigger, record('b', 'running')]),
      'kill s RestartAll, kill b RestartAll',
    ],
    [
      'begins anew when all have ended that a rule wants restarted, however they have ended',
      restartingAll,
      runtime([sandbox()], [record('i', 'exited'), record('s', 'exited'), trigger, record('b', 'exited')]),
      'start init i#1',
    ],
    [
      'goes on where it was in restarting all containers',
      restartingAll,
      runtime(
        [sandbox()],
        [
          record('i', 'exited', { round: 1, restartCount: 1 }),
          record('s', 'running', { round: 1, restartCount: 1 }),
          trigger,
          record('b', 'exited'),
        ],
      ),
      'start main a#1, start main b#1',
    ],
  ];
  it.each(cases)('%s', (_name, input, state, expected, more = {}) => {
    expect(brief(plan(input, state, more))).toBe(expected);
  });
});
