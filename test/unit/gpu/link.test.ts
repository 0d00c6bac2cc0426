import { expect, test } from 'vitest';
import { link } from '../../../src/gpu/link.ts';

const A = { path: 'a.wgsl', text: '// a\nenable f16;\nfn a() {}\n' };
const B = { path: 'b.wgsl', text: 'enable f16;\nenable subgroups, chromium_x;\n\nfn b() {}' };

test('files are joined in order, enable directives first and once', () => {
  const { code } = link([A, B]);
  expect(code.split('\n').filter((line) => line !== '')).toEqual([
    'enable f16;',
    'enable subgroups, chromium_x;',
    '// a',
    'fn a() {}',
    'fn b() {}',
  ]);
});

test('every line is found again at its file and line', () => {
  for (const modules of [[A, B], [B, A], [A], [{ path: 'c.wgsl', text: 'x\ny' }]]) {
    const linked = link(modules);
    const lines = linked.code.split('\n');
    for (const { path, text } of modules) {
      for (const [index, line] of text.split('\n').entries()) {
        if (line === '' || line.startsWith('enable')) continue;
        expect(linked.locate(lines.indexOf(line) + 1)).toBe(`${path}:${index + 1}`);
      }
    }
  }
  expect(link([A]).locate(1)).toBe('enable directives');
  expect(link([A]).locate(99)).toBe('enable directives');
});

test('no module, no code', () => {
  expect(link([]).code).toBe('');
});

test('only a whole line is a directive', () => {
  const { code } = link([{ path: 'd.wgsl', text: '// enable f16;\nconst x = 1; // enable f16;' }]);
  expect(code).toBe('// enable f16;\nconst x = 1; // enable f16;');
});

test('what is repeated is found at the line that it is repeated from', () => {
  const values = { N: 2 };
  const linked = link([{ path: 'e.wgsl', text: 'enable f16;\n#for i in N\na#i\n#end\nb', values }, A]);
  const lines = linked.code.split('\n');
  expect(['a0', 'a1', 'b', 'fn a() {}'].map((line) => linked.locate(lines.indexOf(line) + 1))).toEqual([
    'e.wgsl:3',
    'e.wgsl:3',
    'e.wgsl:5',
    'a.wgsl:3',
  ]);
});

test('what is included is found in its own file', () => {
  const includes = { PART: { path: 'part.wgsl', text: 'x\ny' } };
  const linked = link([{ path: 'f.wgsl', text: 'enable f16;\na\n#include PART\nb', includes }]);
  const lines = linked.code.split('\n');
  expect(['a', 'x', 'y', 'b'].map((line) => linked.locate(lines.indexOf(line) + 1))).toEqual(['f.wgsl:2', 'part.wgsl:1', 'part.wgsl:2', 'f.wgsl:4']);
});
