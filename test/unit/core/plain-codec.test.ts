import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePlain, encodePlain } from '../../../src/core/plain-codec.ts';

const crossed = (value: unknown): unknown => decodePlain(encodePlain(value));

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\u0000', '\u0000u', '\u0000s', '\uD800', '\u0000n1'),
    fc.double(),
    fc.constantFrom(undefined, null, true, false, -0, NaN, Infinity, -Infinity),
    fc.array(tie('value')),
    fc.dictionary(fc.string(), tie('value')),
  ),
})).value;

test('plain data crosses as structuredClone copies it', () => {
  const crossesWhole = (value: unknown): void => {
    expect(crossed(value)).toStrictEqual(structuredClone(value));
  };
  fc.assert(fc.property(plain, crossesWhole), { numRuns: 300 });
});

test('what has no place in a message is refused as structuredClone refuses a function', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = { in: [cyclic] };
  for (const value of [() => {}, Symbol('s'), 1n, new Map(), new Set(), new Date(), new Uint8Array(1), cyclic]) {
    expect(() => encodePlain({ deep: [value] })).toThrow(expect.objectContaining({ name: 'DataCloneError' }) as Error);
  }
  const twice = {};
  expect(crossed([twice, twice])).toEqual([{}, {}]);
});

test('a file keeps its name, type, date and content; only the content is beside the text, without a name', async () => {
  const encoded = encodePlain({ source: new File(['GGUF'], 'secret.gguf', { type: 'x/y', lastModified: 7 }), more: new Blob(['b']) });
  expect(encoded.blobs.map((blob) => blob instanceof File)).toEqual([false, false]);
  const { source, more } = decodePlain(encoded) as { source: File; more: Blob };
  expect(source).toBeInstanceOf(File);
  expect([source.name, source.type, source.lastModified, await source.text()]).toEqual(['secret.gguf', 'x/y', 7, 'GGUF']);
  expect([more instanceof File, await more.text()]).toEqual([false, 'b']);
});

test('a text is not read with other blobs than its own', () => {
  const { text } = encodePlain(new File(['GGUF'], 'm.gguf'));
  for (const blobs of [[], [new Blob(['GGUF']), new Blob([])], [new Blob(['GGU'])], ['GGUF' as unknown as Blob]]) {
    expect(() => decodePlain({ text, blobs })).toThrow(/belong/);
  }
});
