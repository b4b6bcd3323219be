import { addressAt, addressesAt, allocateAddress, ipv6Of, overlaps, parseCidr } from './address';

test('addresses are counted from the start of the network', () => {
  expect(addressAt('10.95.0.0/24', 1)).toBe('10.95.0.1');
  expect(addressAt('10.96.0.0/16', 266)).toBe('10.96.1.10');
  expect(() => addressAt('10.95.0.0/30', 3)).toThrow(/no address number 3/);
});

test.each(['10.95.0.0', '10.95.0.0/33', '10.95.0/24', '10.95.0.256/32', '10.95.0.1/24', 'x/8'])(
  'the network %s is refused',
  text => {
    expect(() => parseCidr(text)).toThrow(/Cannot parse/);
  },
);

test('a new node gets the lowest free address from .11 on', () => {
  expect(allocateAddress('10.95.0.0/24', [])).toBe('10.95.0.11');
  expect(allocateAddress('10.95.0.0/24', ['10.95.0.12', '10.95.0.11', '10.95.0.14'])).toBe('10.95.0.13');
  expect(() => allocateAddress('10.95.0.0/28', ['10.95.0.11', '10.95.0.12', '10.95.0.13', '10.95.0.14'])).toThrow();
});

test('networks overlap when one contains the other, and not when they touch', () => {
  expect(overlaps('10.0.0.0/8', '10.95.0.0/24')).toBe(true);
  expect(overlaps('10.95.0.0/24', '10.95.0.7/32')).toBe(true);
  expect(overlaps('10.95.0.0/24', '10.95.1.0/24')).toBe(false);
});

test('of two networks both are counted, and looked at for overlaps', () => {
  expect(addressesAt('10.96.0.0/16,fd00:10:96::/112', 10)).toEqual(['10.96.0.10', 'fd00:10:96::a']);
  expect(overlaps('10.96.0.0/16,fd00:10::/32', '10.244.0.0/16,fd00:10:96::/112')).toBe(true);
  expect(overlaps('10.96.0.0/16,fd00:10:96::/112', '10.244.0.0/16,fd00:10:244::/56')).toBe(false);
});

test('the IPv6 address of a node has the numbers of its IPv4 address, and those of two clusters are in two networks', () => {
  expect(ipv6Of('10.95.0.11', '10.95.0.0/24')).toBe('fd00:10:95::11');
  expect(ipv6Of('10.95.7.1', '10.95.7.0/24')).toBe('fd00:10:95:7::1');
  expect(ipv6Of('10.95.7.1', '10.95.0.0/16')).toBe('fd00:10:95::7:1');
});
