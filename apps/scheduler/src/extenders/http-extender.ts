import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { Node, Pod, Stored } from '@naru/api';
import type { ExtenderConfiguration, ExtenderTls } from './extender-configuration';

/** What an extender leaves of the nodes, and why not the others. */
export interface ExtenderFilterResult {
  names: ReadonlySet<string>;
  failed: Readonly<Record<string, string>>;
  failedAndUnresolvable: Readonly<Record<string, string>>;
}

/** Which pods would have to go, by node. */
export type VictimsByNode = ReadonlyMap<string, { pods: readonly Stored<Pod>[]; violations: number }>;

/** Larger answers are cut off: names of 5,000 nodes are some 100 KB. */
const maxAnswerBytes = 64 * 1024 * 1024;
/** An extender's scores go from 0 to 10, a plugin's to 100. */
const maxExtenderScore = 10;
export const extenderScoreFactor = 100 / maxExtenderScore;

/** A program that has a say in where pods go, asked over HTTP. Source: kube-scheduler's extender/v1. */
export class HttpExtender {
  private readonly agent: http.Agent;

  constructor(readonly configuration: ExtenderConfiguration) {
    const secure = configuration.urlPrefix.startsWith('https:');
    this.agent = secure
      ? new https.Agent({ keepAlive: true, ...tlsOptions(configuration.tls) })
      : new http.Agent({ keepAlive: true });
  }

  get name(): string {
    return this.configuration.urlPrefix;
  }

  isInterested({ spec }: Pod): boolean {
    const { managedResources } = this.configuration;
    if (managedResources.size === 0) return true;
    return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].some(({ resources }) =>
      [resources?.requests, resources?.limits].some(amounts =>
        Object.keys(amounts ?? {}).some(name => managedResources.has(name)),
      ),
    );
  }

  async filter(pod: Pod, nodes: readonly Stored<Node>[]): Promise<ExtenderFilterResult> {
    const answer = fieldsOf(await this.send(this.configuration.filterVerb, this.argumentsFor(pod, nodes)));
    const problem = answer.text('Error');
    if (problem) throw new Error(problem);
    const names = this.configuration.nodeCacheCapable ? answer.list('NodeNames') : undefined;
    const items = fieldsOf(answer.value('Nodes')).list('items');
    const left = names ?? items?.map(node => (node as Node).metadata?.name) ?? [];
    const known = new Set(nodes.map(({ metadata }) => metadata.name));
    for (const name of left)
      if (!known.has(String(name)))
        throw new Error(
          `extender "${this.name}" claims a filtered node "${String(name)}" which is not found in the input node list`,
        );
    return {
      names: new Set(left.map(String)),
      failed: answer.record('FailedNodes'),
      failedAndUnresolvable: answer.record('FailedAndUnresolvableNodes'),
    };
  }

  /** Scores from 0 to 10 by node. */
  async prioritize(pod: Pod, nodes: readonly Stored<Node>[]): Promise<Map<string, number>> {
    const answer = await this.send(this.configuration.prioritizeVerb, this.argumentsFor(pod, nodes));
    if (!Array.isArray(answer)) throw new Error(`extender "${this.name}" answered no list of scores`);
    const scores = new Map<string, number>();
    for (const item of answer) {
      const row = fieldsOf(item);
      const score = Number(row.value('Score'));
      if (!(score >= 0 && score <= maxExtenderScore))
        throw new Error(
          `extender "${this.name}" gave the score ${String(row.value('Score'))}, which is not between 0 and ${maxExtenderScore}`,
        );
      scores.set(row.text('Host'), score);
    }
    return scores;
  }

  /** The nodes that it agrees to clear, with the pods that have to go there by uid. */
  async preempt(pod: Pod, victims: VictimsByNode): Promise<Map<string, { uids: string[]; violations: number }>> {
    const { nodeCacheCapable, preemptVerb } = this.configuration;
    const rows = [...victims].map(([node, { pods, violations }]) => [
      node,
      {
        Pods: nodeCacheCapable ? pods.map(({ metadata }) => ({ UID: metadata.uid })) : pods,
        NumPDBViolations: violations,
      },
    ]);
    const key = nodeCacheCapable ? 'NodeNameToMetaVictims' : 'NodeNameToVictims';
    const answer = fieldsOf(await this.send(preemptVerb, { Pod: pod, [key]: Object.fromEntries(rows) }));
    const agreed = Object.entries((answer.value('NodeNameToMetaVictims') ?? {}) as Record<string, unknown>);
    return new Map(
      agreed.map(([node, value]) => {
        const row = fieldsOf(value);
        const uids = (row.list('Pods') ?? []).map(item => fieldsOf(item).text('UID'));
        return [node, { uids, violations: Number(row.value('NumPDBViolations') ?? 0) }] as const;
      }),
    );
  }

  async bind(pod: Stored<Pod>, nodeName: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const body = { PodName: name, PodNamespace: namespace, PodUID: uid, Node: nodeName };
    const problem = fieldsOf(await this.send(this.configuration.bindVerb, body)).text('Error');
    if (problem) throw new Error(problem);
  }

  close(): void {
    this.agent.destroy();
  }

  private argumentsFor(pod: Pod, nodes: readonly Stored<Node>[]): unknown {
    return this.configuration.nodeCacheCapable
      ? { Pod: pod, NodeNames: nodes.map(({ metadata }) => metadata.name) }
      : { Pod: pod, Nodes: { apiVersion: 'v1', kind: 'NodeList', metadata: {}, items: nodes } };
  }

  private send(verb: string, body: unknown): Promise<unknown> {
    const url = `${this.configuration.urlPrefix}/${verb}`;
    const payload = JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = (url.startsWith('https:') ? https : http).request(url, {
        method: 'POST',
        agent: this.agent,
        signal: AbortSignal.timeout(this.configuration.timeoutMs),
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
      });
      request.on('error', reject);
      request.on('response', response => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('error', reject);
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxAnswerBytes) request.destroy(new Error(`extender at URL ${url} answered too much`));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          if (response.statusCode !== 200)
            return reject(new Error(`failed ${verb} with extender at URL ${url}, code ${response.statusCode}`));
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
          } catch (error) {
            reject(new Error(`extender at URL ${url} answered no JSON`, { cause: error }));
          }
        });
      });
      request.end(payload);
    });
  }
}

function tlsOptions({ insecure, serverName, ...files }: ExtenderTls): https.AgentOptions {
  const pem = (data: string, file: string): string | undefined =>
    data || (file ? readFileSync(file, 'utf8') : undefined);
  const ca = pem(files.caData, files.caFile);
  const cert = pem(files.certData, files.certFile);
  const key = pem(files.keyData, files.keyFile);
  return {
    // Upstream too trusts whoever answers when it was given no authority.
    rejectUnauthorized: !insecure && ca !== undefined,
    ...(ca ? { ca } : {}),
    ...(cert && key ? { cert, key } : {}),
    ...(serverName ? { servername: serverName } : {}),
  };
}

interface Fields {
  value(name: string): unknown;
  text(name: string): string;
  list(name: string): unknown[] | undefined;
  record(name: string): Record<string, string>;
}

/** Reads an answer as Go's decoder does: field names count whatever their case. */
function fieldsOf(object: unknown): Fields {
  const entries = object && typeof object === 'object' && !Array.isArray(object) ? Object.entries(object) : [];
  const byName = new Map(entries.map(([name, value]) => [name.toLowerCase(), value as unknown]));
  const value = (name: string): unknown => byName.get(name.toLowerCase()) ?? undefined;
  return {
    value,
    text: name => String(value(name) ?? ''),
    list: name => (Array.isArray(value(name)) ? (value(name) as unknown[]) : undefined),
    record: name => (value(name) ?? {}) as Record<string, string>,
  };
}
