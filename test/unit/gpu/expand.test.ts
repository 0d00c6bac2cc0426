import { expect, test } from 'vitest';
import { expand } from '../../../src/gpu/expand.ts';

const texts = (text: string, counts: Record<string, number>): string[] => expand(text, counts).map((line) => line.text);

test('lines between #for and #end are repeated, with their number', () => {
  const text = 'a\n#for t in TOKENS\nlet x#t = y[#tu];\nb\n#end\nc';
  expect(texts(text, { TOKENS: 2 })).toEqual(['a', 'let x0 = y[0u];', 'b', 'let x1 = y[1u];', 'b', 'c']);
  expect(texts(text, { TOKENS: 0 })).toEqual(['a', 'c']);
});

test('loops nest, and may stand anywhere in a line of their own', () => {
  const text = '  #for r in ROWS\n    #for h in HEADS\nw#r_#h\n    #end\n  #for h in ROWS\nv#r#h\n  #end\n  #end';
  expect(texts(text, { ROWS: 2, HEADS: 1 })).toEqual(['w0_0', 'v00', 'v01', 'w1_0', 'v10', 'v11']);
});

test('every line says which line of the file it is', () => {
  const lines = expand('a\n#for t in N\nb#t\n#for u in N\nc\n#end\n#end\nd', { N: 2 });
  expect(lines.map(({ text, line }) => `${line} ${text}`)).toEqual(['1 a', '3 b0', '5 c', '5 c', '3 b1', '5 c', '5 c', '8 d']);
});

test('a text without loops stays as it is', () => {
  expect(texts('// #for t in TOKENS: not a loop\n', {})).toEqual(['// #for t in TOKENS: not a loop', '']);
});

test.each([
  ['#for t in TOKENS\n#end', 'line 1: no count is given for TOKENS'],
  ['a\n#for t in N\nb', 'line 2: #for without #end'],
  ['a\n#end', 'line 2: #end without #for'],
])('%j is a mistake, and said so', (text, message) => {
  expect(() => expand(text, { N: 1 })).toThrow(message);
});
