import type { UserInfo } from '../objects/request';

/** Upstream's token file: `token,user,uid,"group1,group2"` a line. @throws Error naming the line. */
export function parseStaticTokens(text: string): Map<string, UserInfo> {
  const tokens = new Map<string, UserInfo>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const match = /^([^,"]+),([^,"]+),([^,"]*)(?:,(?:"([^"]*)"|([^,"]*)))?\s*$/.exec(line);
    if (!match) throw new Error(`Cannot parse the token file: line ${index + 1} is not token,user,uid[,"groups"]`);
    const [, token, username, uid, quoted, plain] = match;
    const groups = (quoted ?? plain ?? '').split(',').filter(group => group !== '');
    tokens.set(token!, { username: username!, uid, groups });
  }
  return tokens;
}
