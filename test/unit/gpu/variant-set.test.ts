import { expect, test } from 'vitest';
import { defineKernel } from '../../../src/gpu/kernel.ts';
import { readyTokens, type Variant, VariantSet } from '../../../src/gpu/variant-set.ts';

const spec = defineKernel({ name: 'kernel', bindings: {}, overrides: [] });
const variant = (name: string): Variant => ({ name, detail: undefined, modules: [], overrides: {}, trialGrid: [1, 1, 1] });

/** A pipeline of a variant: only its label is looked at. */
const pipelineOf = (label: string): GPUComputePipeline => ({ label }) as GPUComputePipeline;

function setOf(tokens: number, options: { readonly isDeferred?: boolean; readonly best?: string; readonly fails?: string } = {}) {
  const { isDeferred = false, best, fails } = options;
  const compiled: string[] = [];
  const compile = async ({ name }: Variant): Promise<GPUComputePipeline> => {
    compiled.push(name);
    if (name === fails) throw new Error(`${name} does not compile`);
    return pipelineOf(name);
  };
  const initial = variant('default');
  const candidates = (): readonly Variant[] => [variant('fast')];
  const trial = { candidates, trialInputs: () => ({}), trialStep: { tokens, bytes: 1 } };
  const set = new VariantSet('key', { name: 'kernel', spec, tokens, initial, isDeferred, ...trial }, compile, best);
  return { set, compiled };
}

test('the tokens that can be taken at once grow as deferred sets are compiled', async () => {
  const [one, four, two] = [setOf(1), setOf(4, { isDeferred: true }), setOf(2, { isDeferred: true })];
  const sets = [one.set, four.set, two.set];
  await one.set.ready();
  expect(readyTokens(sets)).toBe(1);
  await two.set.ready();
  expect(readyTokens(sets)).toBe(2);
  await four.set.ready();
  expect(readyTokens(sets)).toBe(4);
});

test('a deferred set is compiled on request only, the others as soon as they are there', async () => {
  const [set, deferred] = [setOf(1), setOf(4, { isDeferred: true })];
  await expect.poll(() => set.compiled).toEqual(['default']);
  expect(deferred.compiled).toEqual([]);
  expect(() => deferred.set.pipeline).toThrow('not compiled');
  await Promise.all([deferred.set.ready(), deferred.set.ready()]);
  expect(deferred.compiled).toEqual(['default']);
});

test.each([
  ['the best variant of an earlier trial', { best: 'fast' }, 'fast'],
  ['the default, where that one is not known any more', { best: 'of another release' }, 'default'],
  ['the default, where that one does not compile', { best: 'fast', fails: 'fast' }, 'default'],
])('it begins with %s', async (_what, options, name) => {
  const { set } = setOf(1, options);
  await set.ready();
  expect([set.variant.name, set.pipeline.label]).toEqual([name, name]);
});
