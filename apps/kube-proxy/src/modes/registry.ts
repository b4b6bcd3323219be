import { iptables } from './iptables';
import type { ProxyMode } from './mode';
import { nftables } from './nftables';

/** Every mode; a new one is a folder beside these and a line here. */
export const proxyModes: readonly ProxyMode[] = [iptables, nftables];
