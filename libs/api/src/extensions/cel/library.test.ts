import { kubernetesEnvironment } from './library';

const env = kubernetesEnvironment();

test.each([
  ["'%s has %d of %.2f%%'.format(['a', 3, 1.5])", 'a has 3 of 1.50%'],
  ["'%s %x'.format([['a', 1], 255])", '[a, 1] ff'],
  ["semver('1.2.3-rc.1').isLessThan(semver('1.2.3'))", true],
  ["semver('1.10.0').compareTo(semver('1.9.9'))", 1n],
  ["semver('v1.2', true).minor()", 2n],
  ["isSemver('v1.2') || isSemver('01.2.3')", false],
  ["ip('10.1.2.3').isGlobalUnicast() && !ip('127.0.0.1').isGlobalUnicast()", true],
  ["ip('fe80::1').isLinkLocalUnicast() && ip('224.0.0.5').isLinkLocalMulticast()", true],
  ["string(ip('2001:DB8:0:0::1')) + ' ' + string(ip.isCanonical('2001:DB8::1'))", '2001:db8::1 false'],
  ["string(cidr('10.1.2.3/16').masked())", '10.1.0.0/16'],
  ["string(cidr('2001:db8::ff/120').masked())", '2001:db8::/120'],
  ["cidr('10.0.0.0/8').containsIP(ip('10.9.9.9')) && !cidr('10.0.0.0/8').containsCIDR('11.0.0.0/9')", true],
  ["quantity('1Gi').isGreaterThan(quantity('500M')) && quantity('1k').asInteger() == 1000", true],
  ["url('https://a.b:8443/x?y=1').getPort()", '8443'],
  ["sets.contains([1, 2], [2]) && [3, 1, 2].max() == 3 && ['a', 'b'].isSorted()", true],
  ["'a1b22'.findAll('[0-9]+')", ['1', '22']],
  ["format.dns1123Label().validate('Not_A_Label').hasValue()", true],
  ["jsonpatch.escapeKey('a/b~c')", 'a~1b~0c'],
])('%s gives %p', (expression, expected) => {
  expect(env.evaluate(expression, {})).toEqual(expected);
});
