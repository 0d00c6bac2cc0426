import { afterEach, describe, expect, test, vi } from 'vitest';
import { fileFingerprint, sampledRanges } from '../../../src/client/file-fingerprint.ts';
import { checkModelSource, modelAddress } from '../../../src/client/model-source.ts';
import { blobSource } from '../../../src/core/byte-source.ts';
import { openSource } from '../../../src/download/open-source.ts';
import { sourceKey } from '../../../src/worker/model-identity.ts';
import { createClient } from '../../../src/index.ts';
import { tinyModel } from '../../support/tiny-model.ts';

const MIB = 2 ** 20;
const base = new Uint8Array(24 * MIB + 77).fill(7);
const named = (bytes: Uint8Array<ArrayBuffer>, name = 'model.gguf'): File => new File([bytes], name, { lastModified: 1 });
const changed = (at: number, length = 1): File => named(base.slice().fill(8, at, at + length));

afterEach(() => vi.unstubAllGlobals());

test('two files of one name, size and date are two, and one file chosen twice is one', async () => {
  const checkpoints = [1, 2].map((seed) => named(tinyModel({ type: 'Q8_0', seed })));
  expect(checkpoints[0]).toMatchObject({ name: checkpoints[1]?.name, size: checkpoints[1]?.size, lastModified: 1 });
  const keys = await Promise.all([...checkpoints, named(tinyModel({ type: 'Q8_0', seed: 1 }), 'copy.gguf')].map(async (model) => {
    return sourceKey(await modelAddress({ model }, 'https://x.test/'));
  }));
  expect(keys[0]).not.toBe(keys[1]);
  expect(keys[0]).toBe(keys[2]);
});

describe('a file of 24 MiB', () => {
  test.each([
    ['first byte', 0, 1], ['chat template, wherever it is in a header of 16 MiB', 15 * MIB + 12_345, 1],
    ['tensor of a MiB', 20 * MIB + 5000, MIB], ['last MiB', 24 * MIB, 77],
  ])('has another fingerprint where its %s differs', async (_what, at, length) => {
    expect(await fileFingerprint(changed(at, length))).not.toBe(await fileFingerprint(named(base)));
  });

  test('is not read whole, which is why a byte in between may differ', async () => {
    expect(await fileFingerprint(changed(20 * MIB + 5000))).toBe(await fileFingerprint(named(base)));
    expect(await fileFingerprint(named(base.slice(0, -1)))).not.toBe(await fileFingerprint(named(base)));
  });
});

test.each([0, 1, 16 * MIB, 16 * MIB + 1, 100 * MIB + 3, 5e9, 2 ** 40])('what is looked at of %i bytes', (size) => {
  const ranges = sampledRanges(size);
  const stride = Math.max(MIB, (size - 16 * MIB) / 512);
  let before = 0;
  for (const [index, [start, end]] of ranges.entries()) {
    expect(end).toBeLessThanOrEqual(size);
    expect(start).toBeGreaterThanOrEqual(before);
    expect(start - (ranges[index - 1]?.[0] ?? 0)).toBeLessThanOrEqual(index === 1 ? 16 * MIB : stride + 1);
    before = end;
  }
  expect(size - (ranges.at(-1)?.[0] ?? 0)).toBeLessThanOrEqual(Math.max(16 * MIB, stride + 1));
  expect(ranges.length).toBeLessThanOrEqual(513);
});

test('without WebCrypto a file is like no other', async () => {
  vi.stubGlobal('crypto', {});
  const [one, two] = [await modelAddress({ model: named(base) }, ''), await modelAddress({ model: named(base) }, '')];
  expect(one).not.toHaveProperty('fingerprint');
  expect(sourceKey(one)).not.toBe(sourceKey(two));
});

/** A file that was there when it was chosen. */
class LostFile extends File {
  readonly #error: string;
  constructor(error: string) {
    super(['GGUF'], 'mine.gguf');
    this.#error = error;
  }
  override slice(): Blob {
    return Object.assign(new Blob(), { arrayBuffer: () => Promise.reject(new DOMException('gone', this.#error)) });
  }
}

describe('a file that was deleted or changed after it was chosen', () => {
  const lost = { code: 'model_not_found', message: expect.stringMatching(/mine\.gguf cannot be read.*deleted since.*Choose it again/) };
  const open = (file: File) => openSource(file, { baseUrl: '', onProgress: () => {}, log: () => {} });

  test.each(['NotFoundError', 'NotReadableError'])('(%s) is told of before it is sent, and when it is read', async (error) => {
    const real = Blob;
    vi.stubGlobal('Blob', class extends real {
      override arrayBuffer = () => Promise.reject(new DOMException('gone', error));
    });
    await expect(fileFingerprint(new File(['GGUF'], 'mine.gguf'))).rejects.toMatchObject({ ...lost, cause: { name: error } });
    vi.unstubAllGlobals();
    const source = await open(new LostFile(error));
    await expect(source.read(0, 4)).rejects.toMatchObject({ ...lost, cause: { name: error } });
  });

  test('is not called empty', async () => {
    await expect(open(new File([], 'mine.gguf'))).rejects.toMatchObject(lost);
    const short = blobSource(Object.assign(new Blob(['GGUF']), { slice: () => new Blob(['GG']) }), 'mine.gguf');
    await expect(short.read(0, 4)).rejects.toMatchObject(lost);
  });
});

describe('a cacheKey', () => {
  test('is handed on', async () => {
    const model = 'a.gguf';
    expect(await modelAddress({ model, cacheKey: 'k', hub: { token: 't' } }, 'https://x.test/')).toEqual(
      { source: 'https://x.test/a.gguf', cacheKey: 'k', hub: { token: 't' } },
    );
  });

  test.each([
    ['', 'a.gguf', /has to be a text that names/], [' ', 'a.gguf', /has to be a text that names/], [7, 'a.gguf', /has to be a text that names/],
    [null, 'a.gguf', /has to be a text that names/], ['k', named(base), /File is known by its content/],
  ])('%j is refused where it names nothing', async (cacheKey, model, message) => {
    const refused = createClient({ model: checkModelSource(model), cacheKey: cacheKey as string });
    await expect(refused).rejects.toMatchObject({
      code: 'invalid_request', param: 'cacheKey', message: expect.stringMatching(message),
    });
  });
});
