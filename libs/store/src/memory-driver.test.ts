import { MemoryDriver } from './memory-driver';
import { storeSuite } from './testing/store-suite';

storeSuite('memory', () => {
  const store = new MemoryDriver({ changes: 8, bytes: 1 << 20 });
  return Promise.resolve({ store, cleanUp: () => store.close() });
});
