// A small CSI driver: volumes are directories of the node. One process is identity, controller and node service, registers
// with the kubelet, and, when it finds a Kubernetes API, provisions and attaches the volumes of its node.
import fs from 'node:fs/promises';
import path from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { csi, registration } from '@naru/proto';
import { Attacher } from './attacher';
import { CapacityPublisher } from './capacity';
import { ControllerCalls, runLoop, type ControllerDeps } from './controller-loop';
import { KubeApi } from './kube-api';
import { Provisioner } from './provisioner';
import { Resizer } from './resizer';
import { controllerService, identityService, nodeService, registrationService, type DriverOptions } from './services';
import { Volumes } from './volumes';

const {
  DRIVER_NAME: name = 'hostpath.csi.naru.dev',
  NODE_NAME: nodeName = '',
  DATA_DIR: dataDirectory = '/var/lib/csi-hostpath',
  KUBELET_DIR: kubelet = '/var/lib/kubelet',
} = process.env;

const log = (message: string): void => void process.stdout.write(`${message}\n`);

function serve(server: Server, socket: string): Promise<number> {
  return new Promise((resolve, reject) =>
    server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
}

async function main(): Promise<void> {
  if (nodeName === '') throw new Error('NODE_NAME says which node this is');
  const folder = path.join(kubelet, 'plugins', name);
  const registry = path.join(kubelet, 'plugins_registry');
  await Promise.all([folder, registry].map(each => fs.mkdir(each, { recursive: true })));
  const endpoint = path.join(folder, 'csi.sock');
  const announcement = path.join(registry, `${name}-reg.sock`);
  // What an earlier process has left; the kubelet takes a new socket for a new driver.
  await Promise.all([endpoint, announcement].map(each => fs.rm(each, { force: true })));

  const options: DriverOptions = { name, nodeName, endpoint, volumes: new Volumes(dataDirectory), log };
  const server = new Server();
  server.addService(csi.IdentityService, identityService(options));
  server.addService(csi.ControllerService, controllerService(options));
  server.addService(csi.NodeService, nodeService(options));
  await serve(server, endpoint);
  const registrar = new Server();
  registrar.addService(registration.RegistrationService, registrationService(options));
  await serve(registrar, announcement);
  log(`serving ${endpoint}`);

  const controller = new AbortController();
  const api = KubeApi.fromPod();
  if (api) {
    const { POD_NAME = '', POD_UID = '' } = process.env;
    const pod = { name: POD_NAME, uid: POD_UID };
    const deps: ControllerDeps = { api, name, nodeName, pod, controller: new ControllerCalls(endpoint), log };
    const loops = [Provisioner, Attacher, Resizer, CapacityPublisher].map(Loop => new Loop(deps));
    for (const loop of loops) void runLoop(loop, deps, controller.signal);
  }
  const stop = (): void => {
    controller.abort();
    server.forceShutdown();
    registrar.forceShutdown();
    void Promise.all([endpoint, announcement].map(each => fs.rm(each, { force: true }))).then(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
