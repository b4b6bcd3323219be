import { Transform, type Duplex } from 'node:stream';

/** Attributes that hold URLs, by tag. Source: HTML 4.01's index of attributes and the HTML standard's. */
const urlAttributes: Record<string, readonly string[]> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};

/** Longer tags pass as they are. */
const maxTagBytes = 64 * 1024;
const attribute = /([^\s"'<>/=]+)(\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/g;

export interface LinkRewrite {
  /** The path under which the proxy shows the target's root. */
  prefix: string;
  /** HOST:PORT under which the target may speak of itself. */
  hosts: readonly string[];
}

/** A link to a path of the target becomes one to the proxy's path; others stay. */
export function rewriteUrl(link: string, { prefix, hosts }: LinkRewrite): string {
  const match = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/is.exec(link);
  if (!match) return link;
  const [, scheme, host, path = '', rest = ''] = match;
  if (host === undefined ? scheme !== undefined : !hosts.includes(host)) return link;
  if (!path.startsWith('/')) return link;
  return path === prefix || path.startsWith(`${prefix}/`) ? `${path}${rest}` : `${prefix}${path}${rest}`;
}

function rewriteTag(tag: string, rewrite: LinkRewrite): string {
  const name = /^<([a-z]+)/i.exec(tag)?.[1];
  const attributes = name && urlAttributes[name.toLowerCase()];
  if (!attributes) return tag;
  return tag.replace(
    attribute,
    (whole, key: string, equals: string, double?: string, single?: string, bare?: string) => {
      if (!attributes.includes(key.toLowerCase())) return whole;
      const quote = double !== undefined ? '"' : single !== undefined ? "'" : '';
      return `${key}${equals}${quote}${rewriteUrl(double ?? single ?? bare ?? '', rewrite)}${quote}`;
    },
  );
}

/** Rewrites the links of an HTML document as it passes. Works on bytes as Latin-1, in which tags are tags in UTF-8 too. */
class LinkRewriter extends Transform {
  private rest = '';

  constructor(private readonly rewrite: LinkRewrite) {
    super();
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    const text = this.rest + chunk.toString('latin1');
    const open = text.lastIndexOf('<');
    const isOpen = open >= 0 && !text.includes('>', open) && text.length - open < maxTagBytes;
    this.rest = isOpen ? text.slice(open) : '';
    this.push(this.rewritten(isOpen ? text.slice(0, open) : text), 'latin1');
    done();
  }

  override _flush(done: () => void): void {
    this.push(this.rest, 'latin1');
    done();
  }

  private rewritten(text: string): string {
    return text.replace(/<[a-z][^>]*>/gi, tag => rewriteTag(tag, this.rewrite));
  }
}

/** What an HTML answer goes through; empty when its encoding is none that can be read. */
export async function linkRewriters(encoding: string | undefined, rewrite: LinkRewrite): Promise<Duplex[]> {
  if (encoding === undefined || encoding === '' || encoding === 'identity') return [new LinkRewriter(rewrite)];
  if (encoding !== 'gzip') return [];
  const { createGunzip, createGzip } = await import('node:zlib');
  return [createGunzip(), new LinkRewriter(rewrite), createGzip()];
}
