import fc from 'fast-check';
import { marked, type Token } from 'marked';
import { describe, expect, test } from 'vitest';
import { safeMarkdown } from '../../../demo/src/safe-markdown.ts';

/** The kinds of HTML and images that a program would find in a text. */
function liveParts(markdown: string): readonly string[] {
  const found: string[] = [];
  void marked.walkTokens(marked.lexer(markdown), ({ type, raw }: Token) => {
    if (type === 'html' || type === 'image') found.push(raw);
  });
  return found;
}

test('HTML and images become text and links, code stays as it is', () => {
  const text = [
    'A <b>bold</b> `<div>` and ![pixel](https://tracker.example/x.png)', '<img src=x onerror=alert(1)>',
    '```html\n<script>alert(1)</script>\n```', '- one <i>\n- two:\n  ```ts\n  const a: Array<T> = [];\n  ```\n- three', '> quoted <u>\n>\n> more',
    '| a | b |\n|---|---|\n| `x` | <br> |', '1. first\n\n   still\n\n2. second',
  ].join('\n\n');
  expect(safeMarkdown(text)).toBe([
    'A &lt;b>bold&lt;/b> `<div>` and [pixel](https://tracker.example/x.png)', '&lt;img src=x onerror=alert(1)>',
    '```html\n<script>alert(1)</script>\n```', '- one &lt;i>\n- two:\n  ```ts\n  const a: Array<T> = [];\n  ```\n- three', '> quoted &lt;u>\n> \n> more',
    '| a | b |\n|---|---|\n| `x` | &lt;br> |', '1. first\n\n   still\n\n2. second',
  ].join('\n\n'));
});

describe('no text comes out with live HTML', () => {
  test.each([
    'a `b\nc` <img src=x> `d', '| `a | <img src=x> ` |\n|---|---|\n| `a | <img src=x> ` |', '\\` <img src=x> `', '\\<img src=x>', '- `a\n- <img src=x>`',
    '    ```\n    <b>\n    ```\n<b>', '```\n``` <b>\n~~~\n```\n<b>\n', `${'>'.repeat(70)} <img src=x>`, '<!-- `\n--> <b> `', '[a]: <b>\n\n<b>',
  ])('%j', (text) => {
    expect(liveParts(safeMarkdown(text))).toEqual([]);
  });

  test('random pieces of Markdown', () => {
    const piece = fc.constantFrom(
      '<b>', '<img src=x>', '`', '``', '```', '~~~', '\n', '\n\n', '    ', '- ', '1. ', '> ', '| ', '|---|', '\\', '!', '[a](b)', '![a](b)', 'a', ' ', '<!--', '-->', '&lt;', '# ', '*',
    );
    fc.assert(fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
      expect(liveParts(safeMarkdown(pieces.join('')))).toEqual([]);
    }), { numRuns: 3000, seed: 11 });
  });
});
