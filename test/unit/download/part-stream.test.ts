import { expect, test } from 'vitest';
import type { FileVersion } from '../../../src/storage/cache-manifest.ts';
import type { RemoteFile } from '../../../src/download/http-source.ts';
import { PartCache } from '../../../src/storage/part-cache.ts';
import { PartStream } from '../../../src/download/part-stream.ts';
import { memoryStorage } from '../storage/memory-storage.ts';

// A file whose server serves no ranges, before anybody knows whether it is wanted.

const NUM_PARTS = 8;
const version = { size: NUM_PARTS * 100, etag: undefined, lastModified: undefined };
const file: FileVersion = { url: 'https://x.test/m.gguf', version, partBytes: 100, lastUsed: 1 };

function open() {
  let sent = 0;
  let isClosed = false;
  const remote: RemoteFile = {
    id: file.url, size: version.size, version, isRanged: false,
    read: () => Promise.reject(new Error('no ranges')),
    async *stream() {
      try {
        for (; sent < NUM_PARTS; ) yield new Uint8Array(100).fill(sent++);
      } finally {
        isClosed = true;
      }
    },
  };
  const storage = memoryStorage();
  const cancel = new AbortController();
  let want = (): void => {};
  const wanted = new Promise<void>((resolve) => (want = resolve));
  const cache = new PartCache(file, { storage, wanted, log: () => {} });
  let isLocked = false;
  const oneAtATime = async <T>(_name: string, run: () => Promise<T>): Promise<T> => {
    isLocked = true;
    return run().finally(() => (isLocked = false));
  };
  const stream = new PartStream(remote, cache, { oneAtATime, wanted, signal: cancel.signal });
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
  return { stream, storage, cancel, want, settled, seen: () => ({ sent, isClosed, isLocked, stored: storage.parts.size }) };
}

test('no more is streamed than is asked for, and nothing is stored, until it is wanted; then all is', async () => {
  const { stream, want, settled, seen } = open();
  expect((await stream.part(0))[0]).toBe(0);
  await settled();
  expect(seen()).toEqual({ sent: 1, isClosed: false, isLocked: true, stored: 0 });
  expect((await stream.part(2))[0]).toBe(2);
  await settled();
  expect(seen()).toMatchObject({ sent: 3, stored: 0 });
  want();
  await expect.poll(seen).toEqual({ sent: NUM_PARTS, isClosed: true, isLocked: false, stored: NUM_PARTS });
});

test('a load that ends meanwhile closes the stream, and gives the lock back', async () => {
  const { stream, cancel, settled, seen } = open();
  await stream.part(0);
  await settled();
  cancel.abort(new Error('given up'));
  await settled();
  expect(seen()).toEqual({ sent: 1, isClosed: true, isLocked: false, stored: 0 });
});
