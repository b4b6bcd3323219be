import {
  blockContains,
  canonicalAddress,
  familyOf,
  formatAddress,
  hostPort,
  addressValue,
  parseBlock,
  parseDualNetworks,
} from './ip';

test.each([
  ['10.1.2.3', '10.1.2.3'],
  ['FD00:0:0:1::00ff', 'fd00:0:0:1::ff'],
  ['::', '::'],
  ['::ffff:1.2.3.4', '::ffff:102:304'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
])('%s is a number and is written %s', (text, canonical) => {
  expect(formatAddress(addressValue(text), familyOf(text))).toBe(canonical);
  expect(canonicalAddress(text)).toBe(canonical);
});

test('a block has the addresses that share its bits, of its family', () => {
  const block = parseBlock('fd00:1::/64')!;
  expect(block).toMatchObject({ family: 6, bits: 64, isCanonical: true });
  expect(['fd00:1::ffff', 'fd00:1:0:1::', '10.0.0.1'].map(address => blockContains(block, address))).toEqual([
    true,
    false,
    false,
  ]);
  expect(parseBlock('fd00::1/64')?.isCanonical).toBe(false);
  expect(['10.0.0.0', '10.0.0.0/33', 'fe80::%1/64', '10.0.0.0/08'].map(parseBlock)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('ranges of a cluster are one, or one of each family', () => {
  expect(parseDualNetworks('fd00::/108, 10.0.0.0/16')).toEqual(['fd00::/108', '10.0.0.0/16']);
  expect(() => parseDualNetworks('10.0.0.0/16,10.1.0.0/16')).toThrow('one is IPv4 and one is IPv6');
  expect(() => parseDualNetworks('10.0.0.1/16')).toThrow('host bits set');
  expect(() => parseDualNetworks('x')).toThrow('Cannot parse CIDR "x"');
});

test('a host and its port are one word, in which an IPv6 address has brackets', () => {
  expect([hostPort('10.0.0.1', 80), hostPort('a.example', '81'), hostPort('fd00::1', 80)]).toEqual([
    '10.0.0.1:80',
    'a.example:81',
    '[fd00::1]:80',
  ]);
});
