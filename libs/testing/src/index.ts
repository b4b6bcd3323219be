export { MemoryObjects, type RecordedWrite } from './memory-objects';
export { eventually } from './eventually';
export { NatsTestServer, freePort } from './nats-server';
export { busyboxImage, layerTar, writeOciLayout, type ImageDescription, type LayerEntry } from './oci-image';
export { controllerSuite, type Scenario } from './simulation/controller-suite';
export { SimulatedClock } from './simulation/simulated-clock';
export { Random as SimulatedRandom } from './simulation/random';
export { SimulatedProcess, type ProcessEnvironment } from './simulation/simulated-process';
export { runInUserModeLinux, userModeLinuxObstacle, type UserModeLinuxOptions } from './user-mode-linux';
