import { formatReference, parseReference } from './reference';

const digest = `sha256:${'a'.repeat(64)}`;

test.each([
  ['busybox', 'docker.io/library/busybox:latest'],
  ['busybox:1.36', 'docker.io/library/busybox:1.36'],
  ['bitnami/nginx', 'docker.io/bitnami/nginx:latest'],
  ['index.docker.io/library/x', 'docker.io/library/x:latest'],
  ['localhost/x', 'localhost/x:latest'],
  ['127.0.0.1:5000/a/b:c', '127.0.0.1:5000/a/b:c'],
  ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10'],
  [`busybox:1@${digest}`, `docker.io/library/busybox@${digest}`],
])('the name %s is in full %s', (text, full) => {
  expect(formatReference(parseReference(text))).toBe(full);
});

test.each(['', 'UPPER', 'a//b', 'a:', 'a@sha256:short', '../x', 'a b', `${'a'.repeat(300)}`, 'http://x/y'])(
  'the name "%s" is refused',
  text => {
    expect(() => parseReference(text)).toThrow('invalid reference format');
  },
);
