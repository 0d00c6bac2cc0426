import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expand, type TemplateValues } from '../../../src/gpu/expand.ts';
import { link } from '../../../src/gpu/link.ts';

/** The expansion's text, and the lines that it comes from. */
function expanded(lines: readonly string[], values: TemplateValues = {}) {
  const result = expand(lines.join('\n'), values);
  return { text: result.map(({ text }) => text), lines: result.map(({ line }) => line) };
}

test('#include is the lines of a file, before anything is expanded', () => {
  const inner = { path: 'inner.wgsl', text: 'b#t\n#include LAST' };
  const last = { path: 'last.wgsl', text: 'c_#t' };
  const lines = expand('a\n#for t in 2\n  #include INNER\n#end\nd', {}, { INNER: inner, LAST: last });
  expect(lines.map(({ text, line, path }) => [text, line, path])).toEqual([
    ['a', 1, undefined],
    ['b0', 1, 'inner.wgsl'], ['c_0', 1, 'last.wgsl'], ['b1', 1, 'inner.wgsl'], ['c_1', 1, 'last.wgsl'],
    ['d', 5, undefined],
  ]);
});

test.each([
  ['that is not given', {}, 'line 2: a file for #include INNER is not given'],
  ['that includes itself', { INNER: { path: 'inner.wgsl', text: '\n\n#include INNER' } }, 'inner.wgsl, line 3: a file for #include INNER is not given'],
  ['that leaves something open', { INNER: { path: 'inner.wgsl', text: '#if A' } }, 'inner.wgsl, line 1: #if A has no #end'],
])('a file %s is an error', (_, includes, message) => {
  expect(() => expand('x\n#include INNER', { A: 1 }, includes)).toThrow(message);
});

test('#for repeats its lines with the number in place of its name', () => {
  const result = expanded(['a', '#for t in TOKENS', '  let x_#t = u32(#t) + f("#t");', '#end', 'b'], { TOKENS: 2 });
  expect(result).toEqual({
    text: ['a', '  let x_0 = u32(0) + f("0");', '  let x_1 = u32(1) + f("1");', 'b'],
    lines: [1, 3, 3, 5],
  });
});

test('a name ends where letters and digits do', () => {
  const lines = ['#for t in 1', 'p_#t_#r #t. #tx #t2 #T #t', '#end'];
  expect(expanded(lines).text).toEqual(['p_0_#r 0. #tx #t2 #T 0']);
});

test.each([
  ['none', 0],
  ['no', false],
])('#for of %s leaves nothing', (_, N) => {
  expect(expanded(['#for i in N', 'x', '#end'], { N })).toEqual({ text: [], lines: [] });
});

test.each([
  [true, 'yes'],
  [3, 'yes'],
  [false, 'no'],
  [0, 'no'],
])('#if of %o: %s', (FLAG, chosen) => {
  expect(expanded(['#if FLAG', 'yes', '#else', 'no', '#end'], { FLAG })).toEqual({ text: [chosen], lines: [chosen === 'yes' ? 2 : 4] });
  expect(expanded(['#if FLAG', 'yes', '#end'], { FLAG }).text).toEqual(chosen === 'yes' ? ['yes'] : []);
});

test('directives nest, indented or not; #else belongs to the innermost #if', () => {
  const lines = ['#for s in S', '  #if A', '#for r in 2', 'p_#s_#r', '#end', '#else', '  #if B', 'b#s', '  #else', 'c#s', '  #end', '  #end', '#end'];
  expect(expanded(lines, { S: 2, A: true, B: false })).toEqual({ text: ['p_0_0', 'p_0_1', 'p_1_0', 'p_1_1'], lines: [4, 4, 4, 4] });
  expect(expanded(lines, { S: 2, A: false, B: true })).toEqual({ text: ['b0', 'b1'], lines: [8, 8] });
  expect(expanded(lines, { S: 2, A: false, B: false })).toEqual({ text: ['c0', 'c1'], lines: [10, 10] });
});

test('what is left out needs no values', () => {
  expect(expanded(['#if NO', '#for i in UNKNOWN', '#end', '#end', '#for i in 0', '#if UNKNOWN', '#end', '#end'], { NO: false }).text).toEqual([]);
});

test.each([
  ['an unclosed #for', ['x', '#for i in 2', '#if A', '#end'], 'line 2: #for i in 2 has no #end'],
  ['an unclosed #if', ['#for i in 2', '  #if A', 'x'], 'line 1: #for i in 2 has no #end'],
  ['a value that is not given', ['x', '#if A', '#if MISSING', '#end', '#end'], "line 3: a template's value MISSING is not given"],
  ['a count that is not given', ['#for i in MISSING', '#end'], "line 1: a template's value MISSING is not given"],
  ['a #end too many', ['#if A', '#end', '#end'], 'line 3: #end is no directive here'],
  ['a second #else', ['#if A', '#else', '#else', '#end'], 'line 3: #else is no directive here'],
  ['an #else of a #for', ['#for i in 1', '#else', '#end'], 'line 2: #else is no directive here'],
  ['what looks like a directive', ['#if A', '#iff A', '#end'], 'line 2: #iff A is no directive here'],
])('%s is an error, at its line', (_, lines, message) => {
  expect(() => expanded(lines, { A: true })).toThrow(message);
});

/** A template of nested directives, and beside it what plain loops make of it. */
interface Node {
  readonly lines: readonly string[];
  readonly write: (names: Readonly<Record<string, number>>, first: number) => readonly (readonly [text: string, line: number])[];
}

const VALUES = { ZERO: 0, ONE: 1, THREE: 3, YES: true, NO: false } as const;
const NAMES = ['a', 'b', 'c'] as const;

const sequence = (nodes: readonly Node[]): Node => ({
  lines: nodes.flatMap(({ lines }) => lines),
  write: (names, first) => {
    let at = first;
    return nodes.flatMap(({ lines, write }) => {
      const own = write(names, at);
      at += lines.length;
      return own;
    });
  },
});

const { node } = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom('plain', '', '  v_#a_#b = #c;').map((text): Node => ({
      lines: [text],
      write: (names, line) => [[text.replace(/#([abc])/g, (whole, name: string) => String(names[name] ?? whole)), line]],
    })),
    fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom('ZERO', 'ONE', 'THREE'), fc.array(tie('node'), { maxLength: 3 })).map(
      ([name, count, nodes]): Node => {
        const body = sequence(nodes);
        return {
          lines: [`#for ${name} in ${count}`, ...body.lines, '#end'],
          // The outer loop comes first: a name used twice is the outer one's.
          write: (names, first) =>
            Array.from({ length: VALUES[count] }, (__, n) => body.write({ [name]: n, ...names }, first + 1)).flat(),
        };
      },
    ),
    fc.tuple(fc.constantFrom('YES', 'NO', 'ZERO', 'THREE'), fc.array(tie('node'), { maxLength: 3 }), fc.array(tie('node'), { maxLength: 3 })).map(
      ([name, then, otherwise]): Node => {
        const [yes, no] = [sequence(then), sequence(otherwise)];
        return {
          lines: [`#if ${name}`, ...yes.lines, '#else', ...no.lines, '#end'],
          write: (names, first) => (VALUES[name] ? yes.write(names, first + 1) : no.write(names, first + 2 + yes.lines.length)),
        };
      },
    ),
  ),
}));
const template = fc.array(node, { minLength: 1, maxLength: 4 }).map(sequence).filter(({ lines }) => lines.length > 0);

test('any nest of directives gives what loops and conditions would, each line with where it comes from', () => {
  fc.assert(
    fc.property(template, ({ lines, write }) => {
      const result = expand(lines.join('\n'), VALUES).map(({ text, line }) => [text, line]);
      expect(result).toEqual(write({}, 1));
    }),
    { numRuns: 500 },
  );
});

test('text without directives comes back line for line', () => {
  fc.assert(
    fc.property(fc.array(fc.string().filter((text) => !/[#\n\r]/.test(text)), { minLength: 1 }), (lines) => {
      expect(expanded(lines)).toEqual({ text: lines, lines: lines.map((__, i) => i + 1) });
    }),
  );
});

test('linking finds every line of an expansion again, enable directives moved to the top or not', () => {
  const text = ['#if SUBGROUPS', 'enable subgroups;', '#end', 'a', '#for i in N', 'b#i', '#end', 'c'].join('\n');
  const other = { path: 'other.wgsl', text: 'x\ny' };
  for (const [SUBGROUPS, N] of [[true, 2], [false, 0], [true, 0]] as const) {
    const linked = link([{ path: 't.wgsl', text, values: { SUBGROUPS, N } }, other]);
    const at = (line: string): string => linked.locate(linked.code.split('\n').indexOf(line) + 1);
    expect(linked.code.startsWith('enable subgroups;')).toBe(SUBGROUPS);
    expect([at('a'), at('c'), at('x'), at('y')]).toEqual(['t.wgsl:4', 't.wgsl:8', 'other.wgsl:1', 'other.wgsl:2']);
    for (let i = 0; i < N; i++) expect(at(`b${i}`)).toBe('t.wgsl:6');
  }
});

test('an error of expanding names the file', () => {
  expect(() => link([{ path: 'shaders/t.wgsl', text: '\n#if A\n#end' }])).toThrow("shaders/t.wgsl, line 2: a template's value A is not given");
});
