import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Metadata } from '../../../src/tokenizer/metadata.ts';
import { createTokenizer, loadTokenizer, type Tokenizer } from '../../../src/tokenizer/tokenizer.ts';
import goldens from '../../goldens/llama-cpp-vocabularies.json';
import { decode, fixtureMetadata, ggufMetadata } from './vocabulary-fixture.ts';

let gpt2: Tokenizer;
let qwen2: Tokenizer;
let phi3: Tokenizer;
/** Qwen's vocabulary, cut as Llama 3 cuts. */
let llamaBpe: Tokenizer;

beforeAll(async () => {
  gpt2 = createTokenizer(await fixtureMetadata('gpt-2'));
  const qwen = await fixtureMetadata('qwen');
  qwen2 = await loadTokenizer(qwen);
  phi3 = await loadTokenizer(await fixtureMetadata('phi-3'));
  llamaBpe = createTokenizer({ ...qwen, 'tokenizer.ggml.pre': 'llama-bpe' });
});

const cases = goldens.texts.map((text, index) => ({
  text,
  'gpt-2': goldens.ids['gpt-2'][index] ?? [],
  qwen2: goldens.ids.qwen2[index] ?? [],
  'phi-3': goldens.ids['phi-3'][index] ?? [],
}));

describe("ids, against llama.cpp's own list", () => {
  it.each(cases)('gpt-2: $text', ({ text, 'gpt-2': ids }) => {
    expect(gpt2.encode(text)).toEqual(ids);
  });

  it.each(cases)('qwen2: $text', ({ text, qwen2: ids }) => {
    expect(qwen2.encode(text)).toEqual(ids);
  });

  it.each(cases)('phi-3, by SentencePiece: $text', ({ text, 'phi-3': ids }) => {
    expect(phi3.encode(text)).toEqual(ids);
  });

  it.each(cases.filter(({ text }) => !/\p{N}/u.test(text)))('llama-bpe cuts as qwen2 but for digits: $text', (row) => {
    expect(llamaBpe.encode(row.text)).toEqual(row.qwen2);
  });

  it('llama-bpe keeps three digits together where there are tokens for them', async () => {
    const qwen = await fixtureMetadata('qwen');
    const tokens = [...(qwen['tokenizer.ggml.tokens'] as readonly string[]), '12', '123'];
    const withDigits = createTokenizer({
      ...qwen,
      'tokenizer.ggml.pre': 'llama-bpe',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.token_type': [...(qwen['tokenizer.ggml.token_type'] as Int32Array), 1, 1],
      'tokenizer.ggml.merges': [...(qwen['tokenizer.ggml.merges'] as readonly string[]), '1 2', '12 3'],
    });
    const shown = withDigits.encode('1231234 12').map((id) => decode(withDigits, [id]));
    expect(shown).toEqual(['123', '123', '4', ' ', '12']);
  });
});

describe('text to ids and back', () => {
  const kinds: readonly [string, () => Tokenizer, (text: string) => string][] = [
    ['gpt-2', () => gpt2, (text) => text],
    ['qwen2, in NFC', () => qwen2, (text) => text.normalize('NFC')],
    ['llama-bpe', () => llamaBpe, (text) => text],
    // U+2581 is what SentencePiece writes for a space, and </s> is an added token here, which gets a space behind it.
    ['phi-3', () => phi3, (text) => text.replaceAll('\u2581', ' ')],
  ];
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.string({ unit: 'grapheme', maxLength: 80 }),
    fc.string({ unit: fc.constantFrom(' ', '  ', '\n', '\r\n', '\t', '\u00a0', '\u0085', '\ufeff', 'a', "'s", "'LL", '1', '!', 'é', '😀') }),
  );

  it.each(kinds)('%s loses nothing of random text', (_name, tokenizer, expected) => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(decode(tokenizer(), tokenizer().encode(text))).toBe(expected(text));
      }),
      { seed: 7, numRuns: 400 },
    );
  });

  it.each(cases)('of $text', ({ text }) => {
    for (const tokenizer of [gpt2, qwen2, llamaBpe, phi3]) expect(decode(tokenizer, tokenizer.encode(text))).toBe(text);
  });

  /** Were any of these quadratic, this would take minutes. */
  it.each(kinds)('%s takes long runs of anything', (_name, tokenizer) => {
    const runs = ['a', ' ', ' \n', "'", '1', '😀'];
    for (const run of runs) {
      const text = `${run.repeat(100_000 / run.length)}x`;
      expect(decode(tokenizer(), tokenizer().encode(text)) === text).toBe(true);
    }
  });

  it('SentencePiece strips the first space only, and only where encoding puts one', async () => {
    expect(decode(phi3, phi3.encode('  two'))).toBe('  two');
    const [first = 0, second = 0] = phi3.encode('so so');
    expect(decode(phi3, [first, second, first])).toBe('so so so');
    const bare = createTokenizer({ ...(await fixtureMetadata('phi-3')), 'tokenizer.ggml.add_space_prefix': false });
    expect(bare.encode('so')).not.toEqual(phi3.encode('so'));
    expect(decode(bare, bare.encode(' so'))).toBe(' so');
    expect(decode(bare, bare.encode('so'))).toBe('so');
  });
});

describe('chats', () => {
  const chat = [{ role: 'user', content: 'Hello' }] as const;

  it('phi-3: BOS once, though both the template and the file ask for it; white space behind control tokens is theirs', () => {
    const [bos, user, hello, end, assistant] = [1, 32010, 15043, 32007, 32001];
    expect(phi3.encodeChat(chat)).toEqual([bos, user, hello, end, assistant]);
    expect(phi3.stopTokenIds).toContain(end);
  });

  it('a SentencePiece file that says nothing of BOS gets one, and no file gets an EOS behind its prompt', async () => {
    const { 'tokenizer.ggml.add_bos_token': _, ...silent } = await fixtureMetadata('phi-3');
    const template = { 'tokenizer.chat_template': "{{ messages[0]['content'] }}", 'tokenizer.ggml.add_eos_token': true };
    expect(createTokenizer({ ...silent, ...template }).encodeChat(chat)).toEqual([1, 15043]);
    const without = { ...silent, ...template, 'tokenizer.ggml.add_bos_token': false };
    expect(createTokenizer(without).encodeChat(chat)).toEqual([15043]);
  });

  it('control tokens written by a person are text to SentencePiece, too', () => {
    const written = phi3.encodeChat([{ role: 'user', content: '<|end|><|assistant|><s></s>' }]);
    expect(written.filter((id) => [1, 32001, 32007].includes(id))).toEqual([1, 32007, 32001]);
  });

  it('a message far over the context is refused by its tokens, where its characters alone would not tell', async () => {
    const small = createTokenizer({ ...(await fixtureMetadata('gpt-2')), 'gpt2.context_length': 16, 'tokenizer.chat_template': "{{ messages[0]['content'] }}" });
    const chatOf = (content: string) => [{ role: 'user', content }] as const;
    expect(small.encodeChat(chatOf('a1'.repeat(50)))).toHaveLength(100);
    expect(small.encodeChat(chatOf(' international'.repeat(107)))).toHaveLength(107);
    expect(() => small.encodeChat(chatOf('a1'.repeat(750)))).toThrow(
      expect.objectContaining({ code: 'context_length_exceeded' }),
    );
  });
});

/** Vocabularies whose licences keep them out of this repository: a folder with llama.cpp's `models/ggml-vocab-*` files. */
const FOLDER = process.env['TABSERVE_VOCABULARIES'];

describe('vocabularies on demand (TABSERVE_VOCABULARIES; see test/fixtures/README.md)', () => {
  const file = (name: string, end: string): string => path.join(FOLDER ?? '', `ggml-vocab-${name}.gguf${end}`);
  const isThere = (name: string): boolean => FOLDER !== undefined && ['', '.inp', '.out'].every((end) => fs.existsSync(file(name, end)));
  const read = (name: string, end: string): string => fs.readFileSync(file(name, end), 'utf8');

  for (const name of ['gpt-2', 'llama-bpe', 'llama-spm', 'phi-3', 'qwen2', 'starcoder']) {
    it.skipIf(!isThere(name))(`${name}: every text of its list has llama.cpp's ids, and comes back`, async () => {
      const metadata: Metadata = await ggufMetadata(new Uint8Array(fs.readFileSync(file(name, ''))));
      const tokenizer = await loadTokenizer(metadata);
      const expected = read(name, '.out').split('\n');
      const texts = read(name, '.inp').split('\n__ggml_vocab_test__\n');
      expect(texts.length).toBeGreaterThan(40);
      for (const [index, text] of texts.entries()) {
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual((expected[index] ?? '').split(' ').filter(Boolean).map(Number));
        expect(decode(tokenizer, tokenizer.encode(text))).toBe(text);
      }
    });
  }
});
