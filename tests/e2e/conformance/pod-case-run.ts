import type { Pod, PodSpec } from '@naru/api';
import { api, makeNamespace, type Known } from './api';
import { Following } from './following';
import { caseObjects, type PodCase } from './node-pod-cases';

const nameOf = (index: number): string => `case-${index}`;
const ended = ({ status }: Known<Pod>): boolean => ['Succeeded', 'Failed'].includes(status?.phase ?? '');

/** The pods of many cases, all of them side by side in a namespace of their own. */
export class PodCaseRun {
  private constructor(
    private readonly cases: readonly PodCase[],
    private readonly namespace: string,
    private readonly other: string,
    private readonly pods: Following<Pod>,
  ) {}

  /** `placement` is added to the spec of every pod. */
  static async start(name: string, cases: readonly PodCase[], placement: Partial<PodSpec> = {}): Promise<PodCaseRun> {
    const namespace = await makeNamespace(name);
    for (const [resource, object] of caseObjects) await api.create(`${namespace}/${resource}`, object);
    const other = `${namespace}-other`;
    await api.create('/api/v1/namespaces', { metadata: { name: `${name}-other` } });
    await api.create(`${other}/secrets`, { metadata: { name: 'letters' }, stringData: { data_1: 'not this one' } });
    const pods = await Following.start<Pod>(`${namespace}/pods`);
    const create = ({ spec }: PodCase, index: number): Promise<unknown> =>
      api.create(`${namespace}/pods`, { metadata: { name: nameOf(index) }, spec: { ...spec, ...placement } });
    await Promise.all(cases.map(create));
    return new PodCaseRun(cases, namespace, other, pods);
  }

  /** Waits until the pod of a case has come as far as it must, and looks at what must be true then. */
  async check(index: number): Promise<void> {
    const { until = ended, phase = 'Succeeded', output, check } = this.cases[index]!;
    const pod = await this.pods.until(nameOf(index), until);
    expect(pod.status).toMatchObject({ phase });
    if (output) {
      const log = await api.text(`${this.namespace}/pods/${nameOf(index)}/log`);
      const wanted = typeof output === 'function' ? output(pod) : output;
      for (const part of wanted)
        if (typeof part === 'string') expect(log.split('\n')).toContain(part);
        else expect(log).toMatch(part);
    }
    check?.(pod);
  }

  async end(): Promise<void> {
    this.pods.stop();
    await api.remove(this.namespace);
    await api.remove(this.other);
  }
}
