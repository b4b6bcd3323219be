import { pods } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makePod } from '../fixtures';
import { PodDeletions } from './pod-deletions';

test('a pod counts as deleted until the informer shows that it is', async () => {
  const api = new MemoryObjects();
  const abort = new AbortController();
  const informer = api.informers().informer({ type: pods });
  const deletions = new PodDeletions(informer);
  await informer.start(abort.signal);
  const { metadata } = await api.create(pods, makePod('a', { nodeName: 'n' }));
  await eventually(() => expect(informer.lister.size).toBe(1));
  deletions.note(metadata.uid);
  expect(deletions.has(metadata.uid)).toBe(true);
  await api.delete(pods, metadata);
  await eventually(() => expect(deletions.has(metadata.uid)).toBe(false));
  expect(informer.lister.get(metadata)?.metadata.deletionTimestamp).toBeDefined();
  abort.abort();
});
