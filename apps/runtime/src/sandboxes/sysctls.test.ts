import { sysctlFiles } from './sysctls';

const own = { network: true, ipc: true };

test('parameters of own namespaces become files, with dots or slashes as separators', () => {
  expect(
    sysctlFiles(
      {
        'net.ipv4.ip_forward': '1',
        'net/ipv4/conf/eth0.1/forwarding': '1',
        'kernel.shm_rmid_forced': '1',
        'fs.mqueue.msg_max': '9',
      },
      own,
    ),
  ).toEqual([
    ['/proc/sys/net/ipv4/ip_forward', '1'],
    ['/proc/sys/net/ipv4/conf/eth0.1/forwarding', '1'],
    ['/proc/sys/kernel/shm_rmid_forced', '1'],
    ['/proc/sys/fs/mqueue/msg_max', '9'],
  ]);
});

test.each([
  'vm.swappiness',
  'kernel.hostname',
  'kernel.shmall.x',
  'net./../kernel/panic',
  'net/../kernel/panic',
  'net..ipv4',
])('%s is refused', name => {
  expect(() => sysctlFiles({ [name]: '1' }, own)).toThrow('not allowed');
});

test("a parameter is refused when the namespace is the node's", () => {
  expect(() => sysctlFiles({ 'net.ipv4.ip_forward': '1' }, { network: false, ipc: true })).toThrow('not allowed');
  expect(() => sysctlFiles({ 'kernel.sem': '1' }, { network: true, ipc: false })).toThrow('not allowed');
});
