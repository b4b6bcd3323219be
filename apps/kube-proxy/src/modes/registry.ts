import { iptables } from './iptables';
import type { ProxyMode } from './mode';
import { userspace } from './userspace';
import { ipvs } from './ipvs';
import { nftables } from './nftables';

/** Every mode; a new one is a folder beside these and a line here. */
export const proxyModes: readonly ProxyMode[] = [iptables, nftables, ipvs, userspace];
