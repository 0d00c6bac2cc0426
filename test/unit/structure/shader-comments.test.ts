import { expect, test } from 'vitest';
import { withoutComments } from '../../../shaders/without-comments.mjs';
import { listFiles, readText } from './source-graph.ts';

test('a shader without its comments has the same code on the same lines', () => {
  expect(withoutComments('// a\nlet b = 1; // c\n  // d\n#if E\nf / g\n')).toBe('\nlet b = 1;\n\n#if E\nf / g\n');
  for (const file of listFiles('shaders', '.wgsl')) {
    const [before, after] = [readText(file).split('\n'), withoutComments(readText(file)).split('\n')];
    expect(after.map((line, i) => before[i]?.startsWith(line))).toEqual(before.map(() => true));
    expect(after.join('\n')).not.toContain('//');
  }
});
