import { expect, test } from 'vitest';
import { u64 } from '../formats/gguf-bytes.ts';
import { encodeHeader, float, floats, type Header, ints, soundHeader, text, texts, TYPE, uint, type Value } from './header.ts';
import { type Attempt, attemptLoad } from './load-attempt.ts';

// Files that were once let through, crashed, or would have taken seconds or gigabytes, by fuzzing or by reading the code.

const huge = (value: bigint): Value => ({ type: TYPE.u64, data: u64(value) });

async function attempt(change: (header: Header) => void, tokenizer: 'bpe' | 'spm' = 'bpe'): Promise<Attempt> {
  Object.assign(globalThis, { GPUBufferUsage: globalThis.GPUBufferUsage ?? { UNIFORM: 64, STORAGE: 128, COPY_DST: 8, COPY_SRC: 4 } });
  const header = soundHeader(tokenizer);
  change(header);
  const head = encodeHeader(header);
  return attemptLoad({ head, size: Math.ceil(head.length / 32) * 32 + header.dataBytes });
}

const set = (changes: Readonly<Record<string, Value>>) => (header: Header) => {
  header.pairs = header.pairs.filter(({ key }) => !(key in changes));
  for (const [key, value] of Object.entries(changes)) header.pairs.push({ key, value });
};

test.each<[string, Readonly<Record<string, Value>>, string]>([
  ['more layers than an array can have elements', { 'llama.block_count': huge(2n ** 33n) }, 'corrupt_model'],
  ['thirty million layers', { 'llama.block_count': uint(30_000_000) }, 'corrupt_model'],
  ['an architecture named like a member of Object', { 'general.architecture': text('constructor') }, 'unsupported_model'],
  ['an epsilon that is no number', { 'llama.attention.layer_norm_rms_epsilon': float(NaN) }, 'corrupt_model'],
  ['a negative epsilon', { 'llama.attention.layer_norm_rms_epsilon': float(-1) }, 'corrupt_model'],
  ['a RoPE base of nothing', { 'llama.rope.freq_base': float(0) }, 'corrupt_model'],
  ['an endless RoPE base', { 'llama.rope.freq_base': float(Infinity) }, 'corrupt_model'],
  ['no context', { 'llama.context_length': uint(0) }, 'corrupt_model'],
  ['half a token of context', { 'llama.context_length': float(0.5) }, 'corrupt_model'],
  ['a context beyond all numbers', { 'llama.context_length': huge(2n ** 52n) }, 'corrupt_model'],
  ['no heads', { 'llama.attention.head_count': uint(0) }, 'corrupt_model'],
  ['more heads than elements', { 'llama.attention.head_count': uint(2 ** 31) }, 'corrupt_model'],
  ['a head size beyond all numbers', { 'llama.attention.key_length': huge(2n ** 50n) }, 'corrupt_model'],
  ['a hidden size that is not the tensors’', { 'llama.embedding_length': uint(128) }, 'corrupt_model'],
  ['token ids that the embedding has no row for', { 'tokenizer.ggml.tokens': texts(Array.from({ length: 265 }, (_, i) => `t${i}`)) }, 'corrupt_model'],
])('weights: %s', async (_name, changes, code) => {
  expect(await attempt(set(changes))).toMatchObject({ header: 'ok', weights: code });
});

test.each<[string, Readonly<Record<string, Value>>, string]>([
  ['fewer token types than tokens', { 'tokenizer.ggml.token_type': ints([1, 1]) }, 'corrupt_model'],
  ['no merges', { 'tokenizer.ggml.merges': texts([]) }, 'corrupt_model'],
  ['merges that are numbers', { 'tokenizer.ggml.merges': ints([1, 2]) }, 'corrupt_model'],
  ['BOS outside the vocabulary', { 'tokenizer.ggml.bos_token_id': uint(2 ** 31) }, 'ok'],
  ['EOS that is no whole number', { 'tokenizer.ggml.eos_token_id': float(0.5) }, 'ok'],
  ['a token of a megabyte', { 'tokenizer.ggml.tokens': texts(['x'.repeat(1e6), ...Array.from({ length: 262 }, (_, i) => `t${i}`)]) }, 'unsupported_model'],
  ['control tokens of a megabyte in all', { 'tokenizer.ggml.tokens': texts(Array.from({ length: 4000 }, (_, i) => `<${'x'.repeat(200)}${i}>`)), 'tokenizer.ggml.token_type': ints(Array.from({ length: 4000 }, () => 3)) }, 'unsupported_model'],
  ['a control token of a page', { 'tokenizer.ggml.tokens': texts([`<${'x'.repeat(2000)}>`]), 'tokenizer.ggml.token_type': ints([3]) }, 'unsupported_model'],
  ['a template that never ends', { 'tokenizer.chat_template': text('{% for x in range(99999999) %}{% endfor %}') }, 'unsupported_model'],
  ['a template of a megabyte', { 'tokenizer.chat_template': text('x'.repeat(1e6)) }, 'unsupported_model'],
  ['a tokenizer with a name of a megabyte', { 'tokenizer.ggml.model': text('x'.repeat(1e6)) }, 'unsupported_model'],
])('tokenizer: %s', async (_name, changes, code) => {
  expect(await attempt(set(changes))).toMatchObject({ header: 'ok', tokenizer: code });
});

test.each<[string, Readonly<Record<string, Value>>]>([
  ['scores that are no numbers', { 'tokenizer.ggml.scores': floats(Array.from({ length: 263 }, () => NaN)) }],
  ['fewer scores than tokens', { 'tokenizer.ggml.scores': floats([1]) }],
  ['no scores', { 'tokenizer.ggml.scores': text('none') }],
])('SentencePiece: %s', async (_name, changes) => {
  expect(await attempt(set(changes), 'spm')).toMatchObject({ header: 'ok', tokenizer: 'corrupt_model' });
});

test('scores without bound, and all the same, are scores', async () => {
  const scores = (value: number): Value => floats(Array.from({ length: 263 }, () => value));
  for (const value of [0, Infinity, -Infinity]) {
    expect(await attempt(set({ 'tokenizer.ggml.scores': scores(value) }), 'spm')).toMatchObject({ tokenizer: 'ok' });
  }
});

test('names as long as a header lets them be are cut where they are shown', async () => {
  const long = 'n'.repeat(60_000);
  expect(await attempt((header) => header.pairs.push({ key: long, value: uint(1) }, { key: long, value: uint(1) }))).toMatchObject({ header: 'corrupt_model' });
  expect(await attempt(set({ 'general.architecture': text(long) }))).toMatchObject({ weights: 'unsupported_model' });
  expect(await attempt(set({ 'general.alignment': text(long) }))).toMatchObject({ header: 'corrupt_model' });
});
