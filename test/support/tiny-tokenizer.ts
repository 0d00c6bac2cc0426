import type { GgufValue } from './gguf-writer.ts';

/** Ids 0, 1 and 2, as in SmolLM2. */
export const CONTROL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'] as const;

/** The smallest vocabulary: the control tokens and the 256 bytes. */
export const MIN_VOCAB_SIZE = CONTROL_TOKENS.length + 256;

/** ChatML, without SmolLM2's default system message. */
const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** The text that merges are trained on: enough words for some 300 merges. */
const CORPUS = `Once upon a time there was a small machine that lived inside a window. Every morning it woke up and asked
what the people wanted to know. Some of them asked about the weather, some about the stars, and one of them always
asked the same question: what is the capital of France? The machine thought for a long time, then it answered in
words that it had never seen before. Nobody understood the answer, but everybody liked the sound of it. The little
machine was happy, because it could talk with many people at once and remember everything they had said. When night
came, the window was closed, and the machine dreamed of bigger windows, longer stories and a brighter light.
On Sunday morning the children brought flowers, bread and butter; their grandmother knitted a warm jumper for it.`;

/**
 * Tokenizer metadata of a byte-level BPE vocabulary of `vocabSize` tokens: control tokens, then the bytes, then merges
 * trained on a short text. Deterministic.
 */
export function tinyTokenizer(vocabSize: number): Readonly<Record<string, GgufValue>> {
  const merges = trainMerges(vocabSize - MIN_VOCAB_SIZE);
  const tokens = [...CONTROL_TOKENS, ...BYTE_CHARACTERS, ...merges.map(([left, right]) => left + right)];
  return {
    'tokenizer.ggml.model': { type: 'string', value: 'gpt2' },
    'tokenizer.ggml.pre': { type: 'string', value: 'smollm' },
    'tokenizer.ggml.tokens': { type: 'strings', value: tokens },
    'tokenizer.ggml.token_type': { type: 'i32s', value: tokens.map((_, id) => (id < CONTROL_TOKENS.length ? 3 : 1)) },
    'tokenizer.ggml.merges': { type: 'strings', value: merges.map((pair) => pair.join(' ')) },
    'tokenizer.ggml.bos_token_id': { type: 'u32', value: 1 },
    'tokenizer.ggml.eos_token_id': { type: 'u32', value: 2 },
    'tokenizer.ggml.unknown_token_id': { type: 'u32', value: 0 },
    'tokenizer.ggml.padding_token_id': { type: 'u32', value: 2 },
    'tokenizer.ggml.add_bos_token': { type: 'bool', value: false },
    'tokenizer.chat_template': { type: 'string', value: CHAT_TEMPLATE },
  };
}

/** Which tokens are words, punctuation or the end of an answer, by id: what a babbling model may say. */
export function wordTokens(vocabSize: number): readonly boolean[] {
  const tokens = tinyTokenizer(vocabSize)['tokenizer.ggml.tokens'];
  if (tokens?.type !== 'strings') throw new Error('no tokens');
  return tokens.value.map((token) => /^\u0120[a-zA-Z]{3,}$|^[.,!?]$|^<\|im_end\|>$/.test(token));
}

/** GPT-2's stand-ins for the 256 bytes: printable Latin-1 stands for itself, the rest is moved to U+0100 and up. */
const BYTE_CHARACTERS: readonly string[] = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let moved = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : moved++));
})();

/** The classic BPE training loop (Sennrich et al. 2016) over the corpus's words; ties go to the pair seen first. */
function trainMerges(count: number): readonly (readonly [string, string])[] {
  if (count < 0) throw new Error(`a vocabulary has at least ${MIN_VOCAB_SIZE} tokens`);
  const words = [...CORPUS.matchAll(/ ?[a-zA-Z]+/g)].map(([word]) => [...word.replace(' ', '\u0120')]);
  const merges: (readonly [string, string])[] = [];
  while (merges.length < count) {
    const counts = new Map<string, number>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const [best] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
    const [left = '', right = ''] = best.split(' ');
    if (left === '') throw new Error(`the corpus gives only ${merges.length} merges, not ${count}`);
    merges.push([left, right]);
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++)
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left + right);
    }
  }
  return merges;
}
