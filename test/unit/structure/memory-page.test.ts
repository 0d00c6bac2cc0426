import { describe, expect, test } from 'vitest';
import { headerOf, machineOf, MACHINES, MODELS, outcomeOf, STEP_TOKENS, writeMemoryPage } from '../../../docs/memory-page.ts';
import { KV_CACHE_DTYPES } from '../../../src/core/kv-cache-dtype.ts';
import { readText } from './source-graph.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

test('docs/memory.md says what is allocated (npm run docs writes it)', async () => {
  const page = await writeMemoryPage();
  expect(readText('docs/memory.md')).toBe(page);
  for (const { name } of MODELS) expect(page.split(`| ${name} `)).toHaveLength(KV_CACHE_DTYPES.length + 2);
  for (const { name } of MACHINES) expect(page).toContain(` ${name} |`);
});

describe('whatever the memory', () => {
  const some = MODELS.filter(({ name }) => ['SmolLM2-135M', 'SmolLM2-1.7B', 'Qwen2.5-1.5B', 'Qwen3-4B', 'Llama-3.1-8B'].includes(name));
  test.each(some)('of $name, no more is taken than there is, and 4,096 tokens of context wherever they fit', async (model) => {
    const file = await headerOf(model);
    for (const isSoftware of [false, true]) {
      // What the weights, the step's buffers and one sequence of 4,096 tokens take.
      const roomy = machineOf(1024, isSoftware);
      const one = await outcomeOf(file, roomy, { maxModelLen: 4096, kvCacheBytes: await bytesOf(file, 4096, isSoftware) });
      for (const gib of [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 32]) {
        const { budgetBytes } = machineOf(gib, isSoftware);
        const outcome = await outcomeOf(file, machineOf(gib, isSoftware)).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'out_of_memory' });
          return undefined;
        });
        if (outcome === undefined) {
          expect(one.bytes).toBeGreaterThan(budgetBytes);
          continue;
        }
        expect(outcome.bytes).toBeLessThanOrEqual(budgetBytes);
        const most = Math.max(one.kvCacheBytes, Math.min(budgetBytes / 4, isSoftware ? 256 * MIB : Infinity));
        expect(outcome.kvCacheBytes).toBeLessThanOrEqual(most);
        if (one.bytes <= budgetBytes) expect(outcome.maxModelLen).toBeGreaterThanOrEqual(4096);
        else expect(outcome.report).toMatchObject({ contextCut: 'gpu_memory', level: 'warn' });
      }
    }
  });

  async function bytesOf(file: Awaited<ReturnType<typeof headerOf>>, tokens: number, isSoftware: boolean): Promise<number> {
    const { kvCacheBytes, tokens: all } = await outcomeOf(file, machineOf(1024, isSoftware));
    return (kvCacheBytes / all) * tokens;
  }
});

test.each(MODELS)('$name: attention’s partial results take less than 64 MiB, however long a sequence, and steps no more for one of 32,768 tokens than of 8,192', async (model) => {
  const file = await headerOf({ ...model, contextLength: 131_072 });
  const outcomes = await Promise.all([...STEP_TOKENS, 131_072].map((maxModelLen) => outcomeOf(file, machineOf(1024, false), { maxModelLen })));
  for (const { partialBytes } of outcomes) expect(partialBytes).toBeLessThan(64 * MIB);
  // The rotation table and the block tables have an entry for each token and block.
  const [, middle, long] = outcomes.map(({ stepBytes, partialBytes }) => stepBytes - partialBytes);
  expect((long ?? NaN) - (middle ?? NaN)).toBeLessThan(16 * MIB);
});

describe('where the GPU binds small buffers only', () => {
  const limits = { maxBufferSize: 256 * MIB, maxStorageBufferBindingSize: 128 * MIB };
  const machine = machineOf(64, false);

  test('a sequence is as long as ever: attention’s buffers do not grow with it', async () => {
    const file = await headerOf(model('Qwen3-4B'));
    const { maxModelLen, report } = await outcomeOf(file, machine, { kvCacheBytes: 6 * GIB }, limits);
    expect(maxModelLen).toBe(40_960);
    expect(report).toMatchObject({ contextCut: undefined, kvCacheCut: undefined });
  });

  describe('and a model has a context of a million tokens', () => {
    // Its rotation table has 256 bytes for a token, and a layer's keys 136.
    const long = headerOf({ ...model('Qwen2.5-0.5B'), contextLength: 2 ** 20 });
    const settings = { kvCacheDtype: 'int8', kvCacheBytes: 4 * GIB } as const;

    test('a sequence is as long as its rotation table is bound, and the cache holds as many as ever', async () => {
      const { maxModelLen, tokens, report } = await outcomeOf(await long, machine, settings, limits);
      expect(maxModelLen).toBe((128 * MIB) / 256);
      expect(tokens).toBe(Math.floor((4 * GIB) / (24 * 2 * 136) / 16) * 16);
      expect(report).toMatchObject({ contextCut: 'buffer_size', kvCacheCut: undefined });
      expect(report.message).toMatch(/^The context is 524,288 of the model's 1,048,576 tokens, since a buffer of this GPU has at most 134217728 bytes; the KV cache/);
    });

    test('a longer maxModelLen is refused', async () => {
      const refused = { code: 'invalid_request', param: 'maxModelLen', message: expect.stringContaining('for 524288 tokens') };
      await expect(outcomeOf(await long, machine, { ...settings, maxModelLen: 524_289 }, limits)).rejects.toMatchObject(refused);
      expect((await outcomeOf(await long, machine, { ...settings, maxModelLen: 524_288 }, limits)).maxModelLen).toBe(524_288);
    });
  });

  function model(name: string) {
    const found = MODELS.find((each) => each.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }
});
