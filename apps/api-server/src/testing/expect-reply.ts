import type { Reply } from './test-server';

/** The options of a request whose body is a merge patch. */
export const mergePatch = { headers: { 'content-type': 'application/merge-patch+json' } };

/** Expects this code; a failure shows what came instead. */
export async function ok(reply: Promise<Reply>, code = 200): Promise<Reply> {
  const answer = await reply;
  expect(`${answer.code} ${answer.code === code ? '' : answer.text}`).toBe(`${code} `);
  return answer;
}

export async function okJson(reply: Promise<Reply>, code = 200): Promise<Reply['json']> {
  return (await ok(reply, code)).json;
}
