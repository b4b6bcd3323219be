import { CidrAllocator } from './cidr-allocator';

test('subnets are unique, and a released one comes round again', () => {
  const allocator = new CidrAllocator('10.244.0.0/22', 24);
  expect(['a', 'b', 'c', 'd'].map(owner => allocator.allocate(owner))).toEqual([
    '10.244.0.0/24',
    '10.244.1.0/24',
    '10.244.2.0/24',
    '10.244.3.0/24',
  ]);
  expect(allocator.allocate('e')).toBeUndefined();
  allocator.release('b');
  expect(allocator.allocate('e')).toBe('10.244.1.0/24');
});

test('what is occupied is not given, and not to two', () => {
  const allocator = new CidrAllocator('10.244.0.0/23', 24);
  expect(allocator.occupy('10.244.0.0/24', 'a')).toBe(true);
  expect(allocator.occupy('10.244.0.0/24', 'a')).toBe(true);
  expect(allocator.occupy('10.244.0.0/24', 'b')).toBe(false);
  expect(allocator.occupy('192.168.0.0/24', 'b')).toBe(true);
  expect(allocator.allocate('b')).toBe('10.244.1.0/24');
});

test.each([
  ['within the range', '10.244.1.0/25', ['10.244.0.0/24', '10.244.2.0/24', '10.244.3.0/24']],
  ['of several subnets', '10.244.2.0/23', ['10.244.0.0/24', '10.244.1.0/24']],
  ['that is the range', '10.244.0.0/22', []],
  ['around the range', '10.240.0.0/12', []],
  ['of elsewhere', '10.96.0.0/16', ['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24']],
  ['of the other family', 'fd00::/16', ['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24']],
])('of a network %s that is withheld nothing is given', (_, network, given) => {
  const allocator = new CidrAllocator('10.244.0.0/22', 24);
  allocator.withhold(network);
  expect(['a', 'b', 'c', 'd'].map(owner => allocator.allocate(owner)).filter(Boolean)).toEqual(given);
});

test('IPv6 is cut the same way', () => {
  const allocator = new CidrAllocator('fd00:10:244::/63', 64);
  expect(allocator.occupy('fd00:10:244::/64', 'a')).toBe(true);
  expect(allocator.allocate('b')).toBe('fd00:10:244:1::/64');
  expect(allocator.allocate('c')).toBeUndefined();
});

test.each(['10.244.0.0', '10.244.0.1/16', '300.0.0.0/8', 'x/8', '10.0.0.0/33'])('%s is no CIDR', cidr =>
  expect(() => new CidrAllocator(cidr, 24)).toThrow('Cannot parse CIDR'),
);

test.each<[string, number]>([
  ['10.244.0.0/16', 15],
  ['10.244.0.0/16', 31],
  ['fd00::/32', 64],
])('%s is not cut into /%d', (cidr, mask) =>
  expect(() => new CidrAllocator(cidr, mask)).toThrow(`Cannot cut /${mask} subnets out of ${cidr}`),
);
