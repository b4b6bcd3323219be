export * as objects from './generated/naru/api/v1/objects';
export * as cri from './generated/cri/runtime/v1/api';
export * as images from './generated/naru/runtime/v1/images';
export * as etcd from './generated/etcd/etcd';
export * as csi from './generated/csi/v1/csi';
export * as registration from './generated/pluginregistration/registration';
export * as deviceplugin from './generated/deviceplugin/deviceplugin';
export * as dra from './generated/dra/dra';
