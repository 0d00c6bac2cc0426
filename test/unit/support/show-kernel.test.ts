import { expect, test } from 'vitest';
import { link } from '../../../src/gpu/link.ts';
import { kernelVariants } from '../../support/kernel-variants.ts';
import { showKernel } from '../../support/show-kernel.mjs';

const VARIANTS = kernelVariants();
const show = (...words: readonly string[]): string => showKernel(VARIANTS, ({ modules }) => link(modules), words);

test('without words, every kernel is listed once', () => {
  expect(show().split('\n')).toHaveLength(new Set(VARIANTS.map(({ spec }) => spec.name)).size);
  expect(show()).toContain('silu-mul (1)');
});

test('a kernel of one variant is shown as the compiler gets it, with the files that its lines come from', () => {
  const text = show('silu-mul');
  expect(text).toMatch(/^\/\/ silu-mul silu-mul common\/silu multiply-add\/fused\n\n\/\/ from shaders\/silu-mul\.wgsl\n/);
  expect(text).toContain('@compute');
});

test('words choose among variants, and a directive is expanded', () => {
  const list = show('matmul', 'quant/int4', 'dot/f32').split('\n');
  expect(list.length).toBeGreaterThan(1);
  expect(list.every((line) => /^\d+ matmul .*quant\/int4 dot\/f32 /.test(line))).toBe(true);
  const [line = ''] = list;
  const text = show(line.split(' ')[0] ?? '');
  expect(text).toContain('// from shaders/quant/int4.wgsl');
  expect(text).not.toMatch(/^\s*#/m);
  expect(show('silu-mul', 'quant/int4')).toBe('There is no such variant: silu-mul quant/int4');
});
