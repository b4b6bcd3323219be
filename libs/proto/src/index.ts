// In two steps: of `export * as` a bundler keeps every file, and a process would carry the messages of all protocols.
import * as objects from './generated/naru/api/v1/objects';
import * as cri from './generated/cri/runtime/v1/api';
import * as images from './generated/naru/runtime/v1/images';
import * as etcd from './generated/etcd/etcd';
import * as csi from './generated/csi/v1/csi';
import * as registration from './generated/pluginregistration/registration';
import * as deviceplugin from './generated/deviceplugin/deviceplugin';
import * as dra from './generated/dra/dra';
import * as drahealth from './generated/dra/health';

export { objects, cri, images, etcd, csi, registration, deviceplugin, dra, drahealth };
