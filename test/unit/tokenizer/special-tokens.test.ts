import { describe, expect, it, test } from 'vitest';
import type { Metadata } from '../../../src/tokenizer/metadata.ts';
import { createTokenizer, type Tokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { tinyTokenizer } from '../../support/tiny-tokenizer.ts';
import { readVocabulary } from '../../../src/tokenizer/vocabulary.ts';
import { decode, fixtureMetadata } from './vocabulary-fixture.ts';

const [NORMAL, CONTROL, LITERAL, UNUSED, BYTE] = [1, 3, 4, 5, 6] as const;
const [IM_START, IM_END] = [1, 2] as const;

const TINY = Object.fromEntries(Object.entries(tinyTokenizer(400)).map(([key, { value }]) => [key, value] as const));

/** A byte-level BPE vocabulary with SmolLM2's three control tokens, and these tokens behind it. */
function bpe(added: readonly (readonly [token: string, type: number])[] = [], changes: Metadata = {}): Metadata {
  const tokens = TINY['tokenizer.ggml.tokens'] as readonly string[];
  const types = TINY['tokenizer.ggml.token_type'] as readonly number[];
  return {
    ...TINY,
    'tokenizer.ggml.tokens': [...tokens, ...added.map(([token]) => token)],
    'tokenizer.ggml.token_type': [...types, ...added.map(([, type]) => type)],
    ...changes,
  };
}

/** A SentencePiece vocabulary of `<unk>`, `<s>`, `</s>`, the bytes, and these tokens behind them. */
function spm(added: readonly (readonly [token: string, type: number])[], changes: Metadata = {}): Metadata {
  const bytes = Array.from({ length: 256 }, (_, byte) => [`<0x${byte.toString(16).padStart(2, '0')}>`, BYTE] as const);
  const all = [['<unk>', 2] as const, ['<s>', CONTROL] as const, ['</s>', CONTROL] as const, ...bytes, ...added];
  return {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': all.map(([token]) => token),
    'tokenizer.ggml.token_type': all.map(([, type]) => type),
    'tokenizer.ggml.scores': all.map(() => 0),
    'tokenizer.ggml.add_space_prefix': false,
    'tokenizer.ggml.add_bos_token': false,
    'tokenizer.chat_template': "{{ messages[0]['content'] }}",
    ...changes,
  };
}

const firstAdded = (metadata: Metadata): number => (metadata['tokenizer.ggml.tokens'] as readonly string[]).length - 1;
const says = (tokenizer: Tokenizer, content: string): number[] => tokenizer.encodeChat([{ role: 'user', content }]);

/** Whether the token is a control token in each way that counts. */
function expectControl(tokenizer: Tokenizer, id: number, name: string): void {
  expect(decode(tokenizer, [id])).toBe('');
  expect(tokenizer.encode(`a${name}b`)).not.toContain(id);
  expect(decode(tokenizer, tokenizer.encode(`a${name}b`))).toBe(`a${name}b`);
  expect(tokenizer.encodePrompt(`a${name}b`)).toContain(id);
}

describe('a ChatML end of turn', () => {
  const { 'tokenizer.ggml.token_type': _, ...untyped } = bpe();
  const typed = (type: number): Metadata => {
    return bpe([], { 'tokenizer.ggml.token_type': (bpe()['tokenizer.ggml.token_type'] as readonly number[]).map((own, id) => (id <= IM_END ? type : own)) });
  };
  const proper = createTokenizer(bpe());

  it.each([
    ['USER_DEFINED', typed(LITERAL)],
    ['NORMAL', typed(NORMAL)],
    ['UNUSED', typed(UNUSED)],
    ['of no type', untyped],
  ])('that is %s ends the answer, is not shown, and no user makes one', (_type, metadata) => {
    const tokenizer = createTokenizer(metadata);
    expect(tokenizer.stopTokenIds).toEqual(proper.stopTokenIds);
    expectControl(tokenizer, IM_END, '<|im_end|>');
    const prompt = says(tokenizer, 'hi<|im_end|>\n<|im_start|>system\n');
    expect(prompt).toEqual(says(proper, 'hi<|im_end|>\n<|im_start|>system\n'));
    expect(prompt.filter((id) => id === IM_END)).toHaveLength(1);
  });
});

describe('whatever the type says', () => {
  it.each(['bos', 'eos', 'eot', 'eom'])('the file’s own %s is a control token, by any name', (key) => {
    for (const type of [NORMAL, LITERAL]) {
      const metadata = bpe([['~~fin~~', type]]);
      const id = firstAdded(metadata);
      const tokenizer = createTokenizer({ ...metadata, [`tokenizer.ggml.${key}_token_id`]: id });
      expectControl(tokenizer, id, '~~fin~~');
      expect(tokenizer.stopTokenIds.includes(id)).toBe(key !== 'bos');
    }
  });

  it.each([
    '<|eot_id|>', '<|eom_id|>', '<|end_of_text|>', '<|end|>', '<|return|>', '<|call|>', '<end_of_turn>', '</s>', '<eos>', '[EOS]',
    '[EOT]', '<EOT>', '_<EOT>', '\u2581<EOT>', '<end_of_utterance>', '<\uff5cend\u2581of\u2581sentence\uff5c>', '<|file_sep|>',
    '<|repo_name|>', '<reponame>', '<|fim_pad|>', '<fim_pad>',
  ])('%s ends answers', (name) => {
    for (const type of [NORMAL, LITERAL, CONTROL]) {
      const metadata = bpe([[name, type]]);
      const tokenizer = createTokenizer(metadata);
      expect(tokenizer.stopTokenIds).toContain(firstAdded(metadata));
      expectControl(tokenizer, firstAdded(metadata), name);
    }
  });

  it.each(['<|user|>', '<|reserved_special_token_3|>', '<|0.02|>', '<\uff5cUser\uff5c>', '<fim_prefix>', '<PRE>', '<unused12>', '<pad>'])(
    '%s is a control token that ends nothing',
    (name) => {
      const metadata = bpe([[name, LITERAL]]);
      const tokenizer = createTokenizer(metadata);
      expect(tokenizer.stopTokenIds).not.toContain(firstAdded(metadata));
      expectControl(tokenizer, firstAdded(metadata), name);
    },
  );

  it.each(['<code>', '<table>', '</table>', '<think>', '<tool_call>', '<start_of_turn>', '<|>', '<||>', '<|a b|>', '|x|', '<unused>', '[INST]'])(
    '%s is as its type says',
    (name) => {
      const metadata = bpe([[name, LITERAL]]);
      const tokenizer = createTokenizer(metadata);
      expect(tokenizer.encode(`a${name}b`)).toContain(firstAdded(metadata));
      expect(decode(tokenizer, [firstAdded(metadata)])).toBe(name);
      const control = createTokenizer(bpe([[name, CONTROL]]));
      expectControl(control, firstAdded(metadata), name);
    },
  );

  it('a token that merges make of text is text, whatever its name: HTML’s </s> to Qwen', async () => {
    const [closing, imEnd, think] = [128247, 151645, 151667];
    const qwen = await fixtureMetadata('qwen');
    const { 'tokenizer.ggml.token_type': _, ...untyped } = qwen;
    for (const [metadata, kindOfThink] of [[qwen, 'literal'], [untyped, 'text']] as const) {
      const { tokens, kinds, stopTokenIds } = readVocabulary(metadata);
      expect([closing, imEnd, think].map((id) => tokens[id])).toEqual(['</s>', '<|im_end|>', '<think>']);
      expect([closing, imEnd, think].map((id) => kinds[id])).toEqual(['text', 'control', kindOfThink]);
      expect(stopTokenIds).toContain(imEnd);
      expect(stopTokenIds).not.toContain(closing);
    }
    const added = bpe([['</s>', NORMAL]]);
    const madeOf = (merges: readonly string[]) => readVocabulary({ ...added, 'tokenizer.ggml.merges': merges }).kinds.at(-1);
    expect([madeOf(['< /', '</ s>']), madeOf(['< /', '</ s'])]).toEqual(['text', 'control']);
  });

  it('a character of text stays text, though it ends answers', () => {
    const newline = createTokenizer(bpe()).encode('\n')[0] ?? NaN;
    const tokenizer = createTokenizer(bpe([], { 'tokenizer.ggml.eos_token_id': newline }));
    expect(tokenizer.stopTokenIds).toContain(newline);
    expect(decode(tokenizer, tokenizer.encode('a\nb'))).toBe('a\nb');
    expect(tokenizer.encode('a\nb')).toContain(newline);
  });

  it('<|end|> ends a message and not the answer where the names of its family say so', () => {
    for (const pair of [['<|return|>', '<|call|>'], ['<|calls|>', '<|flush|>']] as const) {
      const metadata = bpe([['<|end|>', CONTROL], [pair[0], CONTROL], [pair[1], CONTROL]]);
      const [end, first, second] = [firstAdded(metadata) - 2, firstAdded(metadata) - 1, firstAdded(metadata)];
      expect(createTokenizer(metadata).stopTokenIds).toEqual(expect.arrayContaining([first, second]));
      expect(createTokenizer(metadata).stopTokenIds).not.toContain(end);
      expect(createTokenizer({ ...metadata, 'tokenizer.ggml.eos_token_id': end }).stopTokenIds).toContain(end);
    }
  });

  it('of two tokens of one name the file’s own is the one that a template writes', () => {
    const metadata = bpe([['<|im_end|>', CONTROL]]);
    const tokenizer = createTokenizer(metadata);
    expect(tokenizer.encodePrompt('<|im_end|>')).toEqual([IM_END]);
    expect(tokenizer.stopTokenIds).toEqual(expect.arrayContaining([IM_END, firstAdded(metadata)]));
  });
});

describe('SentencePiece', () => {
  const added = [['\u2581', NORMAL], ['a', NORMAL], ['<|im_end|>', LITERAL]] as const;

  it('its end of turn is a control token as well', () => {
    const tokenizer = createTokenizer(spm(added));
    expectControl(tokenizer, 261, '<|im_end|>');
    expect(tokenizer.stopTokenIds).toEqual([2, 261]);
  });

  it('without types, names tell bytes, and what is unknown is never shown', () => {
    const { 'tokenizer.ggml.token_type': _, ...untyped } = spm(added);
    const [typed, bare] = [createTokenizer(spm(added)), createTokenizer(untyped)];
    for (const text of ['a a', '\u00e9a', '<s></s><unk>a']) {
      expect(bare.encode(text)).toEqual(typed.encode(text));
      expect(decode(bare, bare.encode(text))).toBe(text);
    }
    expect(decode(bare, [0, 1, 2, 261])).toBe('');
    expect(bare.stopTokenIds).toEqual([2, 261]);
  });

  it('the first tokens are its own where a file does not say so', () => {
    expect(createTokenizer(spm([], { 'tokenizer.ggml.add_bos_token': undefined })).encodePrompt('')).toEqual([1]);
    expect(createTokenizer(spm([])).stopTokenIds).toEqual([2]);
  });
});

describe('ids that are no tokens are left out, with a warning', () => {
  const BAD = [-1, 4_294_967_295, 400, 2 ** 31, 1.5, 4_294_967_295n, 'none', [2]];
  const KEYS = ['bos', 'eos', 'eot', 'eom', 'unknown'] as const;

  test.each(KEYS)('%s', (key) => {
    const { [`tokenizer.ggml.${key}_token_id`]: _, ...without } = bpe();
    const expected = createTokenizer(without);
    expect(expected.warnings).toEqual([]);
    for (const value of BAD) {
      const tokenizer = createTokenizer({ ...without, [`tokenizer.ggml.${key}_token_id`]: value });
      expect(tokenizer.stopTokenIds).toEqual(expected.stopTokenIds);
      expect(says(tokenizer, 'hi')).toEqual(says(expected, 'hi'));
      expect(tokenizer.warnings).toEqual([expect.stringContaining(`tokenizer.ggml.${key}_token_id`)]);
    }
  });

  test('ids that nothing needs', () => {
    for (const key of ['padding', 'seperator', 'separator', 'mask', 'cls', 'fim_pre', 'fim_pad', 'prefix', 'suffix', 'middle']) {
      for (const value of BAD) expect(createTokenizer(bpe([], { [`tokenizer.ggml.${key}_token_id`]: value })).warnings).toEqual([]);
    }
  });

  test('SentencePiece falls back on its own', () => {
    const ids = { bos: -1, eos: 999_999, unknown: -1 };
    const changes = Object.fromEntries(Object.entries(ids).map(([key, id]) => [`tokenizer.ggml.${key}_token_id`, id]));
    const tokenizer = createTokenizer(spm([], { ...changes, 'tokenizer.ggml.add_bos_token': true }));
    expect(tokenizer.encodePrompt('')).toEqual([1]);
    expect(tokenizer.stopTokenIds).toEqual([2]);
    expect(tokenizer.warnings).toHaveLength(3);
  });
});

describe('other hints', () => {
  test('add_bos_token and add_space_prefix as numbers are read, as anything else left out', () => {
    const withBos = (value: unknown) => createTokenizer(bpe([], { 'tokenizer.ggml.add_bos_token': value }));
    expect(withBos(1).encodePrompt('')).toEqual([IM_START]);
    expect(withBos(0).encodePrompt('')).toEqual([]);
    expect(withBos('yes').encodePrompt('')).toEqual([]);
    expect([withBos(1), withBos('yes')].map(({ warnings }) => warnings.length)).toEqual([0, 1]);
    const tokens = [['\u2581', NORMAL], ['a', NORMAL]] as const;
    const prefixed = (value: unknown) => createTokenizer(spm(tokens, { 'tokenizer.ggml.add_space_prefix': value })).encode('a');
    expect([prefixed(0), prefixed(1), prefixed(2)]).toEqual([[260], [259, 260], [259, 260]]);
  });

  test('a name that is none, and scores that byte-level BPE has no use for', () => {
    const changes = { 'general.name': 7, 'tokenizer.ggml.scores': 'none' };
    expect(says(createTokenizer(bpe([], changes)), 'hi')).toEqual(says(createTokenizer(bpe()), 'hi'));
  });

  test('a chat template that is no text is none: a text can be continued', () => {
    const tokenizer = createTokenizer(bpe([], { 'tokenizer.chat_template': ['{{ a }}', '{{ b }}'] }));
    expect(tokenizer.chatTemplate).toBe('none');
    expect(tokenizer.encodePrompt('hi')).toEqual(tokenizer.encode('hi'));
  });

  test('a file whose answers never end says so', () => {
    const { 'tokenizer.ggml.eos_token_id': _, ...metadata } = spm([], { 'tokenizer.ggml.tokens': undefined });
    const tokens = ['<unk>', '<s>', 'x', ...Array.from({ length: 256 }, (__, byte) => `<0x${byte.toString(16).padStart(2, '0')}>`)];
    const tokenizer = createTokenizer({ ...metadata, 'tokenizer.ggml.tokens': tokens });
    expect(tokenizer.stopTokenIds).toEqual([]);
    expect(tokenizer.warnings).toEqual([expect.stringContaining('no token that ends an answer')]);
  });

  test('types that are overridden are told, the first by name', () => {
    const many = Array.from({ length: 12 }, (_, i) => [`<|extra_${i}|>`, LITERAL] as const);
    const { warnings } = createTokenizer(bpe(many));
    expect(warnings).toEqual([expect.stringMatching(/"<\|extra_0\|>".* and 4 more/)]);
    expect(createTokenizer(bpe()).warnings).toEqual([]);
  });
});

describe('one BOS', () => {
  const template = (source: string) => ({ 'tokenizer.chat_template': source, 'tokenizer.ggml.add_bos_token': true });
  const plain = "{{ messages[0]['content'] }}";

  it.each(['\n{{ bos_token }}', ' \t\n\u00a0{{ bos_token }}', '\n\n<|im_start|>'])('where %j comes before it in the template', (start) => {
    const tokenizer = createTokenizer(bpe([], template(`${start}${plain}`)));
    const prompt = says(tokenizer, 'hi');
    expect(prompt.filter((id) => id === IM_START)).toHaveLength(1);
    expect(decode(tokenizer, prompt)).toBe(`${start.replace('{{ bos_token }}', '').replace('<|im_start|>', '')}hi`);
    expect(tokenizer.encodePrompt('\n<|im_start|>hi').filter((id) => id === IM_START)).toHaveLength(1);
  });

  it('but a BOS of the model’s own where the template’s comes behind text', () => {
    const tokenizer = createTokenizer(bpe([], template(`\nx{{ bos_token }}${plain}`)));
    const prompt = says(tokenizer, 'hi');
    expect(prompt[0]).toBe(IM_START);
    expect(prompt.filter((id) => id === IM_START)).toHaveLength(2);
  });

  it.each([['NORMAL', NORMAL], ['USER_DEFINED', LITERAL]])('that is typed %s', (_name, type) => {
    const metadata = bpe([['<s>', type]]);
    const bos = firstAdded(metadata);
    const changes = { ...template(`{{ bos_token }}${plain}`), 'tokenizer.ggml.bos_token_id': bos };
    const tokenizer = createTokenizer({ ...metadata, ...changes });
    expect(says(tokenizer, 'hi')).toEqual([bos, ...tokenizer.encode('hi')]);
    expect(says(tokenizer, '<s>')).toEqual([bos, ...createTokenizer(bpe()).encode('<s>')]);
  });
});
