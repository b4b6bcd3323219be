import { csiNodes, nodes, type CSINode, type Node, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { isReason } from '@naru/foundation';

type Entry = CSINode['spec']['drivers'][number];

export interface CsiNodeDeps {
  client: ObjectsClient;
  nodeName: string;
}

const nodeIdAnnotation = 'csi.volume.kubernetes.io/nodeid';
const maxAttempts = 5;

/** Says in the CSINode of this node, and in the Node itself, which drivers are here. Source: csi/nodeinfomanager. */
export class CsiNodeObject {
  constructor(private readonly deps: CsiNodeDeps) {}

  /** Adds a driver, or replaces what was said of it; `topology` becomes labels of the Node. */
  async add(driver: Entry, topology: Readonly<Record<string, string>>): Promise<void> {
    await this.patchNode(ids => ({ ...ids, [driver.name]: driver.nodeID }), topology);
    await this.change(drivers => [...drivers.filter(({ name }) => name !== driver.name), driver]);
  }

  async remove(name: string): Promise<void> {
    await this.change(drivers => drivers.filter(each => each.name !== name));
    await this.patchNode(({ [name]: _gone, ...ids }) => ids, {});
  }

  private async patchNode(
    change: (ids: Record<string, string>) => Record<string, string>,
    labels: Readonly<Record<string, string>>,
  ): Promise<Stored<Node>> {
    const { client, nodeName } = this.deps;
    const node = await client.get(nodes, { name: nodeName });
    const text = node.metadata.annotations?.[nodeIdAnnotation];
    const ids = change(text ? (JSON.parse(text) as Record<string, string>) : {});
    const annotation = Object.keys(ids).length > 0 ? JSON.stringify(ids) : null;
    const same = (annotation ?? undefined) === text;
    if (same && Object.entries(labels).every(([key, value]) => node.metadata.labels?.[key] === value)) return node;
    const body = { metadata: { annotations: { [nodeIdAnnotation]: annotation }, labels } };
    return client.patch(nodes, { name: nodeName }, { type: 'merge', body });
  }

  private async change(change: (drivers: readonly Entry[]) => Entry[]): Promise<void> {
    const { client, nodeName } = this.deps;
    for (let attempt = 1; ; attempt++) {
      try {
        const found = await this.read();
        const spec = { ...found?.spec, drivers: change(found?.spec.drivers ?? []) };
        if (found) await client.update(csiNodes, { ...found, spec });
        else await client.create(csiNodes, await this.fresh(nodeName, spec));
        return;
      } catch (error) {
        if (attempt === maxAttempts || !isReason(error, 'Conflict', 'AlreadyExists')) throw error;
      }
    }
  }

  private async read(): Promise<Stored<CSINode> | undefined> {
    try {
      return await this.deps.client.get(csiNodes, { name: this.deps.nodeName });
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** With its Node it goes too. */
  private async fresh(name: string, spec: CSINode['spec']): Promise<CSINode> {
    const { metadata } = await this.deps.client.get(nodes, { name });
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid: metadata.uid }];
    return { apiVersion: 'storage.k8s.io/v1', kind: 'CSINode', metadata: { name, ownerReferences }, spec };
  }
}
