import { expect, test } from 'vitest';
import { defineKernel } from '../../../src/gpu/kernel.ts';
import { readyTokens, type Variant, VariantSet } from '../../../src/gpu/variant-set.ts';

const spec = defineKernel({ name: 'kernel', bindings: {}, overrides: [] });
const variant = (name: string): Variant => ({ name, detail: undefined, modules: [], overrides: {}, trialGrid: [1, 1, 1], checkGrid: [1, 1, 1] });

/** A pipeline of a variant: only its label is looked at. */
const pipelineOf = (label: string): GPUComputePipeline => ({ label }) as GPUComputePipeline;

function setOf(tokens: number, isDeferred = false) {
  const compiled: string[] = [];
  const compile = async ({ name }: Variant): Promise<GPUComputePipeline> => {
    compiled.push(name);
    return pipelineOf(name);
  };
  const initial = variant('default');
  const candidates = (): readonly Variant[] => [variant('fast')];
  const checkScene = () => ({ words: {}, numbers: {}, outputs: {} });
  const trial = { candidates, trialInputs: () => ({}), trialStep: { tokens, bytes: 1 }, checkScene, family: {} };
  const set = new VariantSet('key', { name: 'kernel', spec, tokens, initial, isDeferred, ...trial }, compile);
  return { set, compiled };
}

test('the tokens that can be taken at once grow as deferred sets are compiled', async () => {
  const [one, four, two] = [setOf(1), setOf(4, true), setOf(2, true)];
  const sets = [one.set, four.set, two.set];
  await one.set.ready();
  expect(readyTokens(sets)).toBe(1);
  await two.set.ready();
  expect(readyTokens(sets)).toBe(2);
  await four.set.ready();
  expect(readyTokens(sets)).toBe(4);
});

test('a deferred set is compiled on request only, the others as soon as they are there', async () => {
  const [set, deferred] = [setOf(1), setOf(4, true)];
  await expect.poll(() => set.compiled).toEqual(['default']);
  expect(deferred.compiled).toEqual([]);
  expect(() => deferred.set.pipeline).toThrow('not compiled');
  await Promise.all([deferred.set.ready(), deferred.set.ready()]);
  expect(deferred.compiled).toEqual(['default']);
});

test('it begins with the default; another is used when it is told to, and the default’s pipeline stays', async () => {
  const { set } = setOf(1);
  await set.ready();
  expect([set.variant.name, set.pipeline.label]).toEqual(['default', 'default']);
  set.use(variant('fast'), pipelineOf('fast'));
  await set.ready();
  expect([set.variant.name, set.pipeline.label, set.initialPipeline.label]).toEqual(['fast', 'fast', 'default']);
});
