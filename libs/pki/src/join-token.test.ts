import { createAuthority } from './authority';
import { certificateHash } from './inspect';
import { createJoinSecret, formatJoinToken, parseJoinToken } from './join-token';

test('a join token survives being written down and read again', async () => {
  const { certificate } = await createAuthority();
  const secret = createJoinSecret();
  expect(parseJoinToken(`${formatJoinToken(certificate, secret)}\n`)).toEqual({
    authorityHash: certificateHash(certificate),
    secret,
  });
});

test.each(['', 'naru1.abc.def', 'naru2.x.y', `naru1.${'a'.repeat(64)}.short`])('the token %j is refused', token => {
  expect(() => parseJoinToken(token)).toThrow(/Cannot read join token/);
});
