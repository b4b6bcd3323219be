import type { Pod } from '@naru/api';
import { admitSecurity } from './security-admission';

const node = { allowedUnsafeSysctls: ['kernel.msg*', 'net.core.somaxconn'], appArmor: false };

const withSysctl = (name: string, more: Partial<NonNullable<Pod['spec']>> = {}): Pod => ({
  spec: { containers: [], securityContext: { sysctls: [{ name, value: '1' }] }, ...more },
});

describe('admitSecurity', () => {
  it.each([
    ['kernel.shm_rmid_forced', {}, undefined],
    ['net/ipv4/tcp_syncookies', {}, undefined],
    ['kernel.msgmax', {}, undefined],
    ['net.core.somaxconn', {}, undefined],
    ['net.core.somaxconn', { hostNetwork: true }, 'not allowed with host net enabled'],
    ['kernel.shm_rmid_forced', { hostIPC: true }, 'not allowed with host ipc enabled'],
    ['kernel.shmmax', {}, 'not allowlisted'],
    ['vm.swappiness', {}, 'not allowlisted'],
  ])('of sysctl %s with %j says %s', (name, more, why) => {
    const rejected = admitSecurity(withSysctl(name, more), node);
    expect(rejected).toEqual(
      why && { reason: 'SysctlForbidden', message: `Pod was rejected: forbidden sysctl: "${name}" ${why}` },
    );
  });

  it('refuses AppArmor profiles where the kernel has no AppArmor', () => {
    const confined = (type: string): Pod => ({
      spec: { containers: [{ name: 'main', securityContext: { appArmorProfile: { type } } }] },
    });
    expect(admitSecurity(confined('RuntimeDefault'), node)).toEqual({
      reason: 'AppArmor',
      message: 'Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host',
    });
    expect(admitSecurity(confined('RuntimeDefault'), { ...node, appArmor: true })).toBeUndefined();
    expect(admitSecurity(confined('Unconfined'), node)).toBeUndefined();
  });
});
