export { EtcdTestServer, type EtcdTestOptions } from './etcd-server';
export { seeded } from './seeded';
