import { dottedSysctl } from './sysctl-name';

it.each([
  ['kernel.shm_rmid_forced', 'kernel.shm_rmid_forced'],
  ['net/ipv4/ping_group_range', 'net.ipv4.ping_group_range'],
  ['net/ipv4/conf/eno2.100/rp_filter', 'net.ipv4.conf.eno2/100.rp_filter'],
  ['net.ipv4.conf.eno2/100.rp_filter', 'net.ipv4.conf.eno2/100.rp_filter'],
])('the kernel parameter %s is %s to runtimes', (name, dotted) => {
  expect(dottedSysctl(name)).toBe(dotted);
});
