import { Environment, Optional } from '@marcbachmann/cel-js';
import { parseNano } from '../../quantity';
import { compilePattern } from '../structural';
import { stringFormats } from '../formats';
import { checked } from './checked';
import { registerFormat } from './string-format';
import { registerNetwork } from './network';
import { registerSemver } from './semver';

/** A resource.Quantity in rules: compared as a number, to a billionth. */
class Quantity {
  constructor(readonly nano: bigint) {}
}
class Url {
  constructor(
    readonly url: URL,
    readonly text: string,
  ) {}
}
class Format {
  constructor(readonly name: string) {}
}
class SetsNamespace {}
class FormatNamespace {}
class JsonPatchNamespace {}

const nanoPerUnit = 1_000_000_000n;
type List = unknown[] | Set<unknown>;
const array = (list: List): unknown[] => [...list];

function less(a: unknown, b: unknown): boolean {
  return (a as number) < (b as number);
}

/** @throws Error for what is no quantity */
export function quantity(text: string): Quantity {
  return new Quantity(BigInt(parseNano(text)));
}

function isQuantity(text: string): boolean {
  try {
    quantity(text);
    return true;
  } catch {
    return false;
  }
}

function url(text: string): Url {
  // As Go's ParseRequestURI: absolute, or a path.
  const parsed = new URL(text, text.startsWith('/') ? 'relative://host' : undefined);
  return new Url(parsed, text);
}

function isUrl(text: string): boolean {
  try {
    url(text);
    return true;
  } catch {
    return false;
  }
}

/** CEL with the functions that Kubernetes adds to it. Source: apiserver cel/library. Expensive: made once. */
export function kubernetesEnvironment(): Environment {
  const env = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    unlistedVariablesAreDyn: false,
    limits: { maxAstNodes: 5000, maxDepth: 100, maxListElements: 1000, maxMapEntries: 1000, maxCallArguments: 32 },
  })
    .registerType('kubernetes.Quantity', Quantity)
    .registerType('kubernetes.URL', Url)
    .registerType('kubernetes.NamedFormat', Format)
    .registerType('SetsNamespace', SetsNamespace)
    .registerType('FormatNamespace', FormatNamespace)
    .registerType('JsonPatchNamespace', JsonPatchNamespace)
    .registerConstant('jsonpatch', 'JsonPatchNamespace', new JsonPatchNamespace())
    .registerFunction('JsonPatchNamespace.escapeKey(string): string', (_: unknown, key: string) =>
      key.replaceAll('~', '~0').replaceAll('/', '~1'),
    )
    .registerConstant('sets', 'SetsNamespace', new SetsNamespace())
    .registerConstant('format', 'FormatNamespace', new FormatNamespace());
  registerLists(env);
  registerStrings(env);
  registerQuantities(env);
  registerNetwork(env);
  registerSemver(env);
  registerFormat(env);
  return env;
}

function registerLists(env: Environment): void {
  env
    .registerFunction('list<dyn>.isSorted(): bool', (list: List) =>
      array(list).every((item, i, all) => i === 0 || !less(item, all[i - 1])),
    )
    .registerFunction('list<dyn>.sum(): dyn', (list: List) => {
      const items = array(list);
      if (items.length === 0) return 0n;
      return items.reduce((a, b) => (a as number) + (b as number));
    })
    .registerFunction('list<dyn>.min(): dyn', (list: List) => extreme(array(list), less, 'min'))
    .registerFunction('list<dyn>.max(): dyn', (list: List) => extreme(array(list), (a, b) => less(b, a), 'max'))
    .registerFunction('list<dyn>.indexOf(dyn): int', (list: List, item: unknown) => BigInt(array(list).indexOf(item)))
    .registerFunction('list<dyn>.lastIndexOf(dyn): int', (list: List, item: unknown) =>
      BigInt(array(list).lastIndexOf(item)),
    )
    .registerFunction('SetsNamespace.contains(list<dyn>, list<dyn>): bool', (_: unknown, a: List, b: List) =>
      isSubset(b, a),
    )
    .registerFunction(
      'SetsNamespace.equivalent(list<dyn>, list<dyn>): bool',
      (_: unknown, a: List, b: List) => isSubset(a, b) && isSubset(b, a),
    )
    .registerFunction('SetsNamespace.intersects(list<dyn>, list<dyn>): bool', (_: unknown, a: List, b: List) => {
      const known = new Set(b);
      return array(a).some(item => known.has(item));
    })
    .registerFunction('list<dyn>.reverse(): list<dyn>', (list: List) => array(list).reverse())
    .registerFunction('list<dyn>.distinct(): list<dyn>', (list: List) => [...new Set(list)]);
}

function isSubset(small: List, large: List): boolean {
  const known = new Set(large);
  return array(small).every(item => known.has(item));
}

function extreme(items: unknown[], better: (a: unknown, b: unknown) => boolean, name: string): unknown {
  if (items.length === 0) throw new Error(`${name} called on empty list`);
  return items.reduce((a, b) => (better(b, a) ? b : a));
}

function registerStrings(env: Environment): void {
  env
    .registerFunction('string.find(string): string', (text: string, pattern: string) => {
      return compilePattern(pattern).exec(text)?.[0] ?? '';
    })
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) => findAll(text, pattern))
    .registerFunction('string.findAll(string, int): list<string>', (text: string, pattern: string, limit: bigint) =>
      findAll(text, pattern).slice(0, limit < 0n ? undefined : Number(limit)),
    )
    .registerFunction('string.charAt(int): string', (text: string, index: bigint) => text.charAt(Number(index)))
    .registerFunction('string.reverse(): string', (text: string) => [...text].reverse().join(''))
    .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
      text.replaceAll(from, () => to),
    )
    .registerFunction(
      'string.replace(string, string, int): string',
      (text: string, from: string, to: string, count: bigint) => {
        if (count < 0n) return text.replaceAll(from, () => to);
        let result = text;
        let at = 0;
        for (let i = 0n; i < count; i++) {
          const found = result.indexOf(from, at);
          if (found < 0) break;
          result = result.slice(0, found) + to + result.slice(found + from.length);
          at = found + to.length;
        }
        return result;
      },
    )
    .registerFunction('isURL(string): bool', isUrl)
    .registerFunction('url(string): kubernetes.URL', url)
    .registerFunction('kubernetes.URL.getScheme(): string', (u: Url) =>
      u.text.startsWith('/') ? '' : u.url.protocol.slice(0, -1),
    )
    .registerFunction('kubernetes.URL.getHost(): string', (u: Url) => hostOf(u.text))
    .registerFunction('kubernetes.URL.getHostname(): string', (u: Url) =>
      u.text.startsWith('/') ? '' : u.url.hostname.replace(/^\[|\]$/g, ''),
    )
    .registerFunction('kubernetes.URL.getPort(): string', (u: Url) => /:(\d+)$/.exec(hostOf(u.text))?.[1] ?? '')
    .registerFunction('kubernetes.URL.getEscapedPath(): string', (u: Url) => u.url.pathname);
  const formats: Record<string, string> = {
    dns1123Label: 'k8s-short-name',
    dns1123Subdomain: 'k8s-long-name',
    uri: 'uri',
    uuid: 'uuid',
    byte: 'byte',
    date: 'date',
    datetime: 'date-time',
  };
  for (const name of Object.keys(formats))
    env.registerFunction(`FormatNamespace.${name}(): kubernetes.NamedFormat`, () => new Format(name));
  env.registerFunction(
    'kubernetes.NamedFormat.validate(string): optional<list<string>>',
    ({ name }: Format, text: string) =>
      stringFormats[formats[name] ?? '']?.(text) === false
        ? Optional.of([`does not match the format ${name}`])
        : Optional.none(),
  );
  env.registerOperator('optional<list<string>> == null', () => false);
}

function findAll(text: string, pattern: string): string[] {
  const { source, flags } = compilePattern(pattern);
  return text.match(new RegExp(source, `${flags}g`)) ?? [];
}

/** With the port even where it is the scheme's own, which URL drops. */
function hostOf(text: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)/i.exec(text)?.[1] ?? '';
}

function registerQuantities(env: Environment): void {
  env
    .registerFunction('isQuantity(string): bool', isQuantity)
    .registerFunction('quantity(string): kubernetes.Quantity', quantity)
    .registerFunction('kubernetes.Quantity.isInteger(): bool', (q: Quantity) => q.nano % nanoPerUnit === 0n)
    .registerFunction('kubernetes.Quantity.asInteger(): int', (q: Quantity) =>
      checked(q.nano % nanoPerUnit === 0n, () => q.nano / nanoPerUnit, 'cannot convert value to integer'),
    )
    .registerFunction('kubernetes.Quantity.asApproximateFloat(): double', (q: Quantity) => Number(q.nano) / 1e9)
    .registerFunction('kubernetes.Quantity.sign(): int', (q: Quantity) => (q.nano > 0n ? 1n : q.nano < 0n ? -1n : 0n))
    .registerFunction(
      'kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity',
      (a: Quantity, b: Quantity) => new Quantity(a.nano + b.nano),
    )
    .registerFunction(
      'kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity',
      (a: Quantity, b: Quantity) => new Quantity(a.nano - b.nano),
    )
    .registerFunction(
      'kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool',
      (a: Quantity, b: Quantity) => a.nano < b.nano,
    )
    .registerFunction(
      'kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool',
      (a: Quantity, b: Quantity) => a.nano > b.nano,
    )
    .registerFunction('kubernetes.Quantity.compareTo(kubernetes.Quantity): int', (a: Quantity, b: Quantity) =>
      a.nano < b.nano ? -1n : a.nano > b.nano ? 1n : 0n,
    );
}
