import { CdiRegistry } from './spec/cdi';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { systemClock, type Flags, type Logger } from '@naru/foundation';
import { cri, images as own } from '@naru/proto';
import { Cni } from './cni/cni';
import { NetworkConfigDirectory } from './cni/cni-config';
import { Networks } from './cni/networks';
import { ContainerRecords } from './containers/container-record';
import { Containers } from './containers/containers';
import { forgetExecs } from './containers/exec';
import type { runtimeFlags } from './flags';
import { ImagePuller } from './images/image-puller';
import { ImageStore } from './images/image-store';
import { readRegistryConfig } from './images/registry-config';
import { detectOciRuntime } from './oci/oci-runtime';
import { OciRuntimes } from './oci/oci-runtimes';
import { detectCgroups } from './process/cgroups';
import { cgroupDriverOf } from './process/cgroup-driver';
import { Gate } from './process/gate';
import { hideUnifiedCgroup } from './process/hide-unified-cgroup';
import { useSpawner } from './process/run-command';
import { PauseProcesses } from './sandboxes/pause';
import { SandboxRecords } from './sandboxes/sandbox-record';
import { Sandboxes } from './sandboxes/sandboxes';
import { UserNamespaceSupport } from './sandboxes/user-namespace-support';
import { EventHub } from './server/event-hub';
import { imageService, loadService } from './server/image-service';
import { eventOf, runtimeService } from './server/runtime-service';
import { Usage } from './server/usage';
import { boundingSet } from './spec/capabilities';
import { StreamingServer } from './streaming/streaming-server';

export interface RunningRuntime {
  /** `unix:PATH`, for clients. */
  address: string;
  close(): Promise<void>;
}

/** Twice the processors keep them busy while some of the work waits for the kernel. */
const slotsPerProcessor = 2;
const gatePatienceMs = 2_000;
/** Large enough for any list of a node's containers. */
const maxMessageBytes = 16 << 20;

/** Puts the runtime together, takes up what is there, and listens. */
export async function buildRuntime(
  flags: Flags<typeof runtimeFlags>,
  options: { version: string; logger: Logger; signal: AbortSignal },
): Promise<RunningRuntime> {
  const { logger, signal } = options;
  const clock = systemClock;
  const { root, state } = flags;
  for (const directory of [root, state]) fs.mkdirSync(directory, { recursive: true, mode: 0o711 });
  const endSpawner = useSpawner(path.join(state, 'commands'));
  if (flags['hide-unified-cgroup']) await hideUnifiedCgroup();
  const cgroups = detectCgroups();
  const cgroupDriver = cgroupDriverOf(flags['cgroup-driver'], cgroups);
  const cgroupParent = path.posix.resolve('/', flags['cgroup-parent']);
  const runtime = await detectOciRuntime(ociRuntimes(flags['oci-runtime'], cgroupDriver), {
    root: path.join(state, 'oci'),
    scratch: path.join(state, 'probe'),
    cgroupParent,
    cgroups,
    logger,
  });
  const runtimes = new OciRuntimes({ standard: runtime, state, cgroupParent, cgroups, logger });
  const images = new ImageStore(flags['image-store']);
  const puller = new ImagePuller({
    store: images,
    config: readRegistryConfig(flags['registry-config']),
    logger,
    signal,
  });
  const events = new EventHub();
  const pause = new PauseProcesses({ runtime, root, state });
  const cni = new Cni({ binDirectories: flags['cni-bin-dir'], timeoutMs: flags['cni-timeout-seconds'] * 1_000 });
  const networks = new Networks({ directory: new NetworkConfigDirectory(flags['cni-conf-dir']), cni, logger });
  const gate = new Gate({ slots: slotsPerProcessor * os.availableParallelism(), patienceMs: gatePatienceMs });
  const imageLayers = images.layers.directory;
  const userNamespaces = new UserNamespaceSupport({ runtimes, root, state, imageLayers, cgroupParent, clock, logger });
  const sandboxes = new Sandboxes({
    records: new SandboxRecords(root),
    networks,
    cni,
    pause,
    runtimes,
    state,
    defaultCgroupParent: cgroupParent,
    imageLayers,
    userNamespaces,
    cgroups,
    gate,
    clock,
    logger,
  });
  const containers: Containers = new Containers({
    ...{
      records: new ContainerRecords(root),
      sandboxes,
      images,
      runtimes,
      conmon: flags.conmon,
      cgroups,
      gate,
      state,
      clock,
      logger,
    },
    boundingSet: boundingSet(),
    cdi: new CdiRegistry(flags['cdi-spec-dirs'], (file, err) => logger.warn({ err, file }, 'CDI file not read')),
    onEvent: (type, record) => {
      if (events.watched)
        events.emit(eventOf({ sandboxes, containers, images, clock }, type, record.id, record.sandboxId));
    },
  });
  forgetExecs(state);
  await sandboxes.recover();
  await containers.recover();
  await sandboxes.collectNetworks();
  const streaming = new StreamingServer({ clock, logger });
  await streaming.listen(flags['streaming-address']);
  const usage = new Usage({ cgroups, containers, sandboxes, root, clock });

  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    // Nobody asks for the books that it would keep of every call.
    'grpc.enable_channelz': 0,
  });
  server.addService(
    cri.RuntimeServiceService,
    runtimeService({
      sandboxes,
      containers,
      images,
      networks,
      runtimes,
      userNamespaces,
      streaming,
      usage,
      events,
      state,
      cgroupDriver,
      version: options.version,
      clock,
      logger,
    }),
  );
  server.addService(cri.ImageServiceService, imageService({ store: images, puller, root, clock, logger }));
  server.addService(own.ImagesService, loadService({ store: images, logger }));
  const address = await listen(server, flags.listen);
  logger.info(
    {
      address,
      ociRuntime: runtime.program,
      cgroupVersion: cgroups.version,
      sandboxes: sandboxes.list().length,
      containers: containers.list().length,
    },
    'listening',
  );
  return {
    address,
    async close() {
      server.forceShutdown();
      containers.close();
      await streaming.close();
      endSpawner();
    },
  };
}

/**
 * The programs that may run containers, best first: crun is three times as fast as runc, but crun 1.8 writes limits behind the back of systemd,
 * which takes them away at its next reload.
 */
function ociRuntimes(wanted: string, driver: cri.CgroupDriver): string[] {
  if (wanted !== 'auto') return [wanted];
  return driver === cri.CgroupDriver.SYSTEMD ? ['runc', 'crun'] : ['crun', 'runc'];
}

async function listen(server: Server, endpoint: string): Promise<string> {
  const address = endpoint.replace(/^unix:(\/\/)?/, 'unix:');
  const file = address.slice('unix:'.length);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.rmSync(file, { force: true }); // of a process before us that was killed
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), error => (error ? reject(error) : resolve()));
  });
  fs.chmodSync(file, 0o600); // whoever may connect is root on this node
  return address;
}
