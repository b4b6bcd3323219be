import { defaultPullPolicy, fullImageName, parseImageName } from './image-name';
import { pullCredentials } from './pull-secrets';

describe('image names', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['user/app', 'docker.io/user/app:latest'],
    ['localhost:5000/app:x', 'localhost:5000/app:x'],
    ['127.0.0.1:5000/a/b', '127.0.0.1:5000/a/b:latest'],
    [`ghcr.io/a/b@sha256:${'0'.repeat(64)}`, `ghcr.io/a/b@sha256:${'0'.repeat(64)}`],
  ])('%s is %s', (text, expected) => expect(fullImageName(text)).toBe(expected));

  it.each(['UPPER', '', 'a b', 'a//b:', 'app:'])('refuses %j', text => expect(() => parseImageName(text)).toThrow());

  it('pulls latest always', () => {
    expect([defaultPullPolicy('a'), defaultPullPolicy('a:latest'), defaultPullPolicy('a:1')]).toEqual([
      'Always',
      'Always',
      'IfNotPresent',
    ]);
  });
});

describe('pullCredentials', () => {
  it('finds the entries of a registry, the most specific path first', () => {
    const config = {
      auths: {
        'https://index.docker.io/v1/': { auth: Buffer.from('hub:pw').toString('base64') },
        'reg.example.org': { username: 'all', password: 'p1' },
        'reg.example.org/team': { username: 'team', password: 'p2' },
      },
    };
    const secret = { data: { '.dockerconfigjson': Buffer.from(JSON.stringify(config)).toString('base64') } };
    const users = (image: string): unknown[] =>
      pullCredentials([secret], parseImageName(image)).map(({ auth }) => `${auth.username}:${auth.password}`);
    expect(users('reg.example.org/team/app')).toEqual(['team:p2', 'all:p1']);
    expect(users('reg.example.org/other')).toEqual(['all:p1']);
    expect(users('nginx')).toEqual(['hub:pw']);
    expect(users('ghcr.io/x/y')).toEqual([]);
  });
});
