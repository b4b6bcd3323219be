import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { allocateAddress } from '../address';
import type { ContainerRuntime } from '../agent/container-runtime';
import { checkName, writeJson, type Cluster } from '../cluster';

/** What a node of this machine is; kept while the node exists, stopped or not. */
export interface NodeRecord {
  name: string;
  address: string;
  /** Absent: ours. */
  containerRuntime?: ContainerRuntime;
}

export function nodeData(cluster: Cluster, name: string): string {
  return path.join(cluster.data, 'nodes', name);
}

/** The machine's view of what is /run/naru inside the node. */
export function nodeRun(cluster: Cluster, name: string): string {
  return path.join(cluster.run, 'nodes', name);
}

/** The service that keeps the node as a whole. */
export function nodeService(name: string): string {
  return `node.${name}`;
}

export function listNodes(cluster: Cluster): NodeRecord[] {
  const folder = path.join(cluster.data, 'nodes');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map(name => path.join(folder, name, 'node.json'))
    .filter(existsSync)
    .map(file => JSON.parse(readFileSync(file, 'utf8')) as NodeRecord)
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** Throws, listing the nodes there are, when there is none of that name. */
export function requireNode(cluster: Cluster, name: string): NodeRecord {
  const nodes = listNodes(cluster);
  const node = nodes.find(candidate => candidate.name === name);
  if (!node) throw new Error(`there is no node "${name}"; nodes: ${nodes.map(n => n.name).join(', ') || 'none'}`);
  return node;
}

/** Gives a new node its address and writes it down. */
export function createNode(cluster: Cluster, name: string, containerRuntime: ContainerRuntime): NodeRecord {
  checkName('node name', name);
  const nodes = listNodes(cluster);
  if (nodes.some(node => node.name === name)) throw new Error(`there is a node "${name}" already`);
  const address = allocateAddress(
    cluster.settings.nodeCidr,
    nodes.map(node => node.address),
  );
  const node = { name, address, containerRuntime };
  writeJson(path.join(nodeData(cluster, name), 'node.json'), node);
  return node;
}

/** The first of worker-1, worker-2, ... that is free. */
export function nextNodeName(cluster: Cluster): string {
  const taken = new Set(listNodes(cluster).map(node => node.name));
  for (let number = 1; ; number++) if (!taken.has(`worker-${number}`)) return `worker-${number}`;
}
