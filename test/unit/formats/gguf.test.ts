import { gguf } from '@huggingface/gguf';
import { describe, expect, test } from 'vitest';
import { blobSource } from '../../../src/core/byte-source.ts';
import type { ByteSource } from '../../../src/core/byte-source.ts';
import { getNumber, getNumbers, getString, getStrings } from '../../../src/formats/gguf-metadata.ts';
import { readModelFile } from '../../../src/formats/gguf.ts';
import { writeGguf } from '../../support/gguf-writer.ts';
import { tinyModel, tinyModelContents } from '../../support/tiny-model.ts';
import { bytes, header, string, tensor, u32, u64 } from './gguf-bytes.ts';
import { firstDifference } from '../download/seeded-bytes.ts';

const source = (data: Uint8Array<ArrayBuffer>): ByteSource => blobSource(new Blob([data]), 'test.gguf');
const parse = (data: Uint8Array<ArrayBuffer>): ReturnType<typeof readModelFile> => readModelFile(source(data));

describe('a well-formed file', () => {
  const contents = tinyModelContents({ type: 'mixed', preset: 'gqa9' });
  const file = writeGguf(contents);

  test('tensors are where their bytes are, in file order, row-major', async () => {
    const model = await parse(file);
    expect(model.tensors.map((t) => t.name)).toEqual(contents.tensors.map((t) => t.name));
    for (const [index, info] of model.tensors.entries()) {
      const written = contents.tensors[index];
      expect(info.type).toBe(written?.type);
      expect(info.shape).toEqual(written?.shape.toReversed());
      expect(info.byteLength).toBe(written?.data.length);
      const read = await model.source.read(info.offset, info.byteLength);
      expect(firstDifference(read, written?.data ?? new Uint8Array())).toBe(-1);
    }
  });

  test("agrees with @huggingface/gguf's reading", async () => {
    const ours = await parse(file);
    const theirs = await gguf('http://test/test.gguf', {
      fetch: async (_url, init) => {
        const [, from, to] = /(\d+)-(\d+)/.exec(new Headers(init?.headers).get('range') ?? '') ?? [];
        return new Response(file.slice(Number(from), Number(to) + 1), { status: 206 });
      },
    });
    const { version, tensor_count, kv_count, ...metadata } = theirs.metadata;
    expect([version, Number(tensor_count), Number(kv_count)]).toEqual([3, ours.tensors.length, Object.keys(metadata).length]);
    expect({ ...ours.metadata }).toEqual(metadata);
    expect(ours.tensors.map((t) => [t.name, t.offset, t.shape])).toEqual(
      theirs.tensorInfos.map((t) => [
        t.name,
        Number(theirs.tensorDataOffset + t.offset),
        t.shape.map(Number).toReversed(),
      ]),
    );
  });

  test('a vocabulary longer than the first read comes through whole', async () => {
    const tokens = Array.from({ length: 262_144 }, (_, index) => `token number ${index} ${'é'.repeat(index % 9)}`);
    const type = 'i32s' as const;
    const model = await parse(
      writeGguf({
        metadata: { tokens: { type: 'strings', value: tokens }, after: { type, value: [-1, 2] } },
        tensors: [],
      }),
    );
    expect(model.source.size).toBeGreaterThan(8 * 1024 * 1024);
    expect(getStrings(model.metadata, 'tokens')).toEqual(tokens);
    expect(getNumbers(model.metadata, 'after')).toEqual([-1, 2]);
  });

  test('reads no more than the header', async () => {
    const big = tinyModel({ type: 'F32', preset: 'smollm2' });
    const reads: number[] = [];
    const inner = source(big);
    await readModelFile({
      ...inner,
      read: (offset, length) => {
        reads.push(offset + length);
        return inner.read(offset, length);
      },
    });
    expect(big.length).toBeGreaterThan(8 * 1024 * 1024);
    expect(reads).toEqual([4 * 1024 * 1024]);
  });
});

describe('metadata', () => {
  const u64Value = (key: string, value: bigint): Uint8Array => bytes(string(key), u32(10), u64(value));

  test('every value type', async () => {
    const scalar = (key: string, type: number, ...raw: number[]): Uint8Array =>
      bytes(string(key), u32(type), Uint8Array.from(raw));
    const pairs = [
      scalar('u8', 0, 0xff),
      scalar('i8', 1, 0xff),
      scalar('u16', 2, 0xfe, 0xff),
      scalar('i16', 3, 0xfe, 0xff),
      scalar('u32', 4, 0xfe, 0xff, 0xff, 0xff),
      scalar('i32', 5, 0xfe, 0xff, 0xff, 0xff),
      scalar('f32', 6, 0, 0, 0xc0, 0x3f),
      scalar('bool', 7, 1),
      bytes(string('text'), u32(8), string('\u{feff}caf\u00e9 \u{1f600}')),
      bytes(string('nested'), u32(9), u32(9), u64(2n), u32(0), u64(1n), Uint8Array.of(7), u32(8), u64(1n), string('x')),
      u64Value('u64', 12n),
      u64Value('huge', 2n ** 63n),
      scalar('i64', 11, ...Array<number>(8).fill(0xff)),
      scalar('f64', 12, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f),
      bytes(string('__proto__'), u32(7), Uint8Array.of(0)),
    ];
    const { metadata } = await parse(header({ pairs }));
    expect(Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== '__proto__'))).toEqual({
      u8: 255,
      i8: -1,
      u16: 65534,
      i16: -2,
      u32: 4294967294,
      i32: -2,
      f32: 1.5,
      bool: true,
      text: '\u{feff}caf\u00e9 \u{1f600}',
      nested: [[7], ['x']],
      u64: 12,
      huge: 2n ** 63n,
      i64: -1,
      f64: 1.5,
    });
    expect(Object.keys(metadata)).toContain('__proto__');
    expect(metadata['toString']).toBeUndefined();
  });

  test('getters say which key and why', () => {
    const metadata = { name: 'x', size: 3, list: ['a', 'b'] };
    expect(getString(metadata, 'name')).toBe('x');
    expect(getNumber(metadata, 'missing', 7)).toBe(7);
    expect(getStrings(metadata, 'list')).toEqual(['a', 'b']);
    expect(() => getNumber(metadata, 'missing')).toThrow(
      expect.objectContaining({ code: 'unsupported_model', message: expect.stringContaining("'missing'") }),
    );
    expect(() => getNumber(metadata, 'name')).toThrow(
      expect.objectContaining({ code: 'corrupt_model', message: expect.stringMatching(/'name' is the string x/) }),
    );
    expect(() => getNumbers(metadata, 'list')).toThrow(expect.objectContaining({ code: 'corrupt_model' }));
  });
});

describe('refused', () => {
  const refusal = (code: string, message: RegExp): unknown =>
    expect.objectContaining({ code, message: expect.stringMatching(message) });
  const text = (value: string): Uint8Array<ArrayBuffer> => bytes(new TextEncoder().encode(value));
  const pair = (key: string, type: number, ...rest: Uint8Array[]): Uint8Array => bytes(string(key), u32(type), ...rest);
  const data = new Uint8Array(4096);

  test.each<[string, Uint8Array<ArrayBuffer>, string, RegExp]>([
    ['an empty file', text(''), 'unsupported_model', /is empty/],
    ['a web page', text('<!doctype html><title>Sign in</title>'), 'unsupported_model', /web page/],
    ['an LFS pointer', text('version https://git-lfs.github.com/spec/v1\n'), 'unsupported_model', /LFS pointer/],
    ['safetensors', bytes(u64(4n), text('{"a":1}')), 'unsupported_model', /safetensors/],
    ['version 1', header({ version: 1 }), 'unsupported_model', /version 1/],
    ['big-endian', header({ version: 0x03000000 }), 'unsupported_model', /big-endian/],
    ['a magic number alone', text('GGUF'), 'corrupt_model', /the version .* end of the file/],
    ['a shard', header({ pairs: [pair('split.count', 2, Uint8Array.of(3, 0))] }), 'unsupported_model', /3 shards/],
    ['more tensors than fit', header({ tensorCount: 2n ** 60n }), 'corrupt_model', /tensor count is 1152921504606846976/],
    ['more metadata than fits', header({ pairCount: 2n ** 40n }), 'corrupt_model', /metadata count/],
    ['an array longer than the file', header({ pairs: [pair('a', 9, u32(8), u64(2n ** 40n))] }), 'corrupt_model', /'a'/],
    ['a string longer than the file', header({ pairs: [pair('a', 8, u64(900n))] }), 'corrupt_model', /'a' \(900 bytes\)/],
    ['an unknown value type', header({ pairs: [pair('a', 13)] }), 'corrupt_model', /'a' .* value type 13/],
    ['a key twice', header({ pairs: [pair('a', 7, data.slice(0, 1)), pair('a', 7, data.slice(0, 1))] }), 'corrupt_model', /'a' occurs twice/],
    ['arrays too deep', header({ pairs: [pair('a', 9, ...Array.from({ length: 5 }, () => bytes(u32(9), u64(1n))))] }), 'corrupt_model', /deeper/],
    ['a wild alignment', header({ pairs: [pair('general.alignment', 4, u32(48))] }), 'corrupt_model', /alignment is 48/],
    ['no dimensions', header({ tensors: [tensor('w', [], 0, 0n)], data }), 'corrupt_model', /'w' has 0 dimensions/],
    ['an empty dimension', header({ tensors: [tensor('w', [4n, 0n], 0, 0n)], data }), 'corrupt_model', /'w'/],
    ['an overflowing size', header({ tensors: [tensor('w', [2n ** 30n, 2n ** 30n], 0, 0n)], data }), 'corrupt_model', /'w'/],
    ['half a block', header({ tensors: [tensor('w', [48n, 2n], 2, 0n)], data }), 'corrupt_model', /'w' .* 48 .* Q4_0 .* 32/],
    ['a misaligned tensor', header({ tensors: [tensor('w', [4n], 0, 16n)], data }), 'corrupt_model', /'w' .* aligned to 32/],
    ['a tensor past the end', header({ tensors: [tensor('w', [1025n], 0, 0n)], data }), 'corrupt_model', /'w' .* cut short/],
    ['an offset past the end', header({ tensors: [tensor('w', [1n], 0, 2n ** 50n)], data }), 'corrupt_model', /'w' .* cut short/],
    ['a tensor twice', header({ tensors: [tensor('w', [4n], 0, 0n), tensor('w', [4n], 0, 32n)], data }), 'corrupt_model', /'w' occurs twice/],
    ['overlapping tensors', header({ tensors: [tensor('w', [16n], 0, 32n), tensor('v', [16n], 0, 0n)], data }), 'corrupt_model', /'v' and 'w' overlap/],
  ])('%s', async (_name, file, code, message) => {
    await expect(parse(file)).rejects.toEqual(refusal(code, message));
  });

  test('a file cut anywhere, tensor data included', async () => {
    const { metadata, tensors } = tinyModelContents({ type: 'Q4_1', preset: 'narrow', numLayers: 1 });
    const file = writeGguf({ metadata, tensors });
    const last = (await parse(file)).tensors.at(-1);
    const end = (last?.offset ?? 0) + (last?.byteLength ?? 0);
    for (let cut = 4; cut < end; cut += cut < 2000 ? 1 : 997) {
      await expect(parse(file.slice(0, cut)), `cut at ${cut}`).rejects.toEqual(refusal('corrupt_model', /./));
    }
    await expect(parse(file.slice(0, end))).resolves.toBeDefined();
  });

  test('an unknown tensor type is named, and refused only by who uses it', async () => {
    const { tensors } = await parse(header({ tensors: [tensor('w', [4n], 99, 0n), tensor('v', [16n], 0, 0n)], data }));
    expect(tensors[0]).toMatchObject({ type: 'type 99', byteLength: 0 });
    expect(tensors[1]).toMatchObject({ type: 'F32', byteLength: 64 });
  });
});
