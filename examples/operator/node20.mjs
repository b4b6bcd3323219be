// @kubernetes/client-node 2 and the HTTP library below it ask Node 20 for three functions that came later. No other is needed to
// talk to a cluster. To be imported before the client; with Node 22.15 and newer it does nothing.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
require('node:worker_threads').markAsUncloneable ??= () => undefined;
require('node:zlib').createZstdDecompress ??= () => {
  throw new Error('zstd needs a newer Node');
};
Promise.withResolvers ??= function withResolvers() {
  const result = {};
  result.promise = new this((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
};
