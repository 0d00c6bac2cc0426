import { describe, expect, test } from 'vitest';
import { GrowingMarkdown, type Block } from '../../../demo/src/growing-markdown.ts';
import { toHtml } from '../../../demo/src/markdown-parser.ts';

const create = (): GrowingMarkdown => new GrowingMarkdown(toHtml);
const show = (blocks: readonly Block[]): string[] =>
  blocks.map((block) => (block.kind === 'html' ? block.html : `${block.kind === 'code' ? block.language : ''}: ${block.text}`));

/** Grows to `text`, some characters at a time, and returns what it has cost. */
function cost(text: string, step = 5): number {
  const markdown = create();
  for (let end = step; end <= text.length; end += step) markdown.grow(text.slice(0, end));
  return markdown.parsedCharacters;
}

const KINDS: Readonly<Record<string, string>> = {
  paragraphs: 'The sea is *deep*, and the machine hums in the harbour all night long.\n\n',
  'one paragraph': 'The sea is deep and the machine hums in the harbour ',
  'one list': '1. The sea is **deep**\n   - and the machine\n',
  'one table': '| the sea | the machine |\n',
  'one quotation': '> The sea is deep and the machine hums.\n',
  lines: 'The sea is deep.\nThe machine hums.\n',
};
/** Repeats a text up to a length. A table and code have a beginning of their own. */
const ofLength = (kind: string, length: number): string => {
  const head = kind === 'one table' ? '| a | b |\n|---|---|\n' : '';
  return (head + (KINDS[kind] ?? kind).repeat(length)).slice(0, length);
};

describe('an answer of 20,000 characters, a token at a time, costs little more than twice one of 10,000', () => {
  test.each(Object.keys(KINDS))('of %s', (kind) => {
    const [half, whole] = [cost(ofLength(kind, 10_000)), cost(ofLength(kind, 20_000))];
    expect(whole / half).toBeLessThan(2.4);
  });

  test.each(['```ts\n', 'Text.\n\n~~~~\n'])('of code behind %j, which costs next to nothing', (fence) => {
    const code = (length: number): string => (fence + 'const sea = 1; // deep\n'.repeat(length)).slice(0, length);
    expect(cost(code(20_000))).toBeLessThan(1000);
    const closed = `${code(9000)}\n${fence.includes('~') ? '~~~~' : '```'}\nAnd so on.\n\nAnd on.`;
    expect(cost(closed)).toBeLessThan(40_000);
  });
});

test.each([
  'A paragraph\nof two lines\n\nand *another*.\n',
  'para\n#',
  'para\n#1 of\n\nmore\n\nand more',
  '1. a\n\n2. b\n\n3. c\n\nEnd.\n\nReally.',
  '- a\n\n- b\n\n  still b\n\ntext',
  'Title\n=====\n\nText\n\n---\n\n> quote\nlazy\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nEnd',
  'Before\n\n```js\nconst a = 1;\n\n\nlet b;\n```\n\nBetween\n\n~~~\ntilde ``` inside\n~~~\nAfter',
  '````md\n```js\ninner\n```\n````\nout\n\nside',
  '```\nnever closed\n\nnow',
  '- item\n  ```sh\n  ls\n  ```\n- next\n\nEnd',
  'a\r\nb\r\n\r\nc\r\n\r\nd\r\n\r\ne',
  '<div>\nraw\n\n</div>\n\ntext\n\nmore',
])('text that grows ends as it would have been parsed at once: %j', (text) => {
  for (const step of [1, 3, 7]) {
    const markdown = create();
    for (let end = step; end < text.length; end += step) markdown.grow(text.slice(0, end));
    expect(show(markdown.grow(text))).toEqual(show(create().grow(text)));
    expect(show(markdown.grow(text))).toEqual(show(create().complete(text)));
  }
});

describe('a block that the parser fails on is shown as text, and takes no other with it', () => {
  test.each(['>', '> ', '1. ', '> - '])('%j, 4,000 times', (mark) => {
    const nested = `${mark.repeat(4000)}deep`;
    const markdown = create();
    const text = `Before it.\n\n${nested}\n\nAnd *after*.`;
    for (let end = 3000; end < text.length; end += 3000) markdown.grow(text.slice(0, end));
    const [before, ...rest] = show(markdown.grow(text));
    expect(before).toBe('<p>Before it.</p>');
    expect(rest.join('').replaceAll(': ', '').includes('deep')).toBe(true);
    const blocks = show(markdown.complete(text));
    expect([blocks.length, blocks[0], blocks[2]]).toEqual([3, before, '<p>And <em>after</em>.</p>']);
    expect(blocks[1]?.trim() === `: ${nested}`).toBe(true); // not 16,000 characters of difference
  });

  test('nor one that fails only when it becomes HTML', () => {
    const markdown = new GrowingMarkdown((token) => {
      if (token.raw.startsWith('bad')) throw new RangeError('Maximum call stack size exceeded');
      return toHtml(token);
    });
    expect(show(markdown.complete('bad\n\ngood'))).toEqual([': bad', '<p>good</p>']);
  });
});

test('blocks that are finished stay the very same objects', () => {
  const markdown = create();
  const [first] = markdown.grow('One.\n\nTwo.\n\nThree.\n\nFo');
  expect(markdown.grow('One.\n\nTwo.\n\nThree.\n\nFour.\n\nFive')[0]).toBe(first);
});

test('code shows as it comes, without what may become its closing fence', () => {
  const markdown = create();
  expect(show(markdown.grow('```py\nprint(1)'))).toEqual(['py: print(1)']);
  expect(show(markdown.grow('```py\nprint(1)\nx = 2\n``'))).toEqual(['py: print(1)\nx = 2']);
  expect(show(markdown.grow('```py\nprint(1)\nx = 2\n```\nDone.'))).toEqual(['py: print(1)\nx = 2', '<p>Done.</p>']);
});

test('a long list is one list when it is complete', () => {
  const text = ofLength('one list', 6000);
  const markdown = create();
  for (let end = 5; end < text.length; end += 5) markdown.grow(text.slice(0, end));
  const growing = markdown.grow(text);
  expect(growing.length).toBeGreaterThan(1);
  const items = (blocks: readonly Block[]): number => show(blocks).join('').split('<li>').length;
  expect(items(growing)).toBe(items(create().complete(text)));
  expect(markdown.complete(text)).toHaveLength(1);
});

test('another text starts anew', () => {
  const markdown = create();
  markdown.grow('One.\n\nTwo.\n\nThree.');
  expect(show(markdown.grow('Other.'))).toEqual(['<p>Other.</p>']);
});
