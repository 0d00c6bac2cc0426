import { describe, expect, test } from 'vitest';
import { headerOf, machineOf, MACHINES, MODELS, outcomeOf, writeMemoryPage } from '../../../docs/memory-page.ts';
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

describe('where the GPU binds small buffers only', () => {
  const limits = { maxBufferSize: 256 * MIB, maxStorageBufferBindingSize: 128 * MIB };
  const machine = machineOf(64, false);
  const partsOf = (tokens: number): number => 256 * 32 * Math.ceil(tokens / 128) * (128 + 4) * 4; // attention's, of all splits

  test('a sequence is as long as what attention needs for it is bound, and the cache holds as many as ever', async () => {
    const file = await headerOf(model('Qwen3-4B'));
    const { maxModelLen, tokens, report } = await outcomeOf(file, machine, {}, limits);
    expect(partsOf(maxModelLen)).toBeLessThanOrEqual(128 * MIB);
    expect(partsOf(maxModelLen + 1)).toBeGreaterThan(128 * MIB);
    expect(tokens).toBe(4 * 8192);
    expect(report).toMatchObject({ contextCut: 'buffer_size', kvCacheCut: undefined, level: 'warn' });
    expect(report.message).toMatch(/^The context is 3,968 of the model's 40,960 tokens, since a buffer of this GPU has at most 134217728 bytes; the KV cache/);
    expect(report.message).toMatch(/together \(4 sequences of 8,192 tokens\)\. Set maxModelLen to the tokens you need\.$/);
  });

  test('of a number of bytes likewise', async () => {
    const file = await headerOf(model('Qwen3-4B'));
    const outcome = await outcomeOf(file, machine, { kvCacheBytes: 6 * GIB }, limits);
    expect(outcome).toMatchObject({ maxModelLen: 3968, report: { contextCut: 'buffer_size', kvCacheCut: undefined } });
  });

  test('a longer maxModelLen is refused', async () => {
    const file = await headerOf(model('Qwen3-4B'));
    const refused = { code: 'invalid_request', param: 'maxModelLen', message: expect.stringContaining('for 3968 tokens') };
    await expect(outcomeOf(file, machine, { maxModelLen: 4000 }, limits)).rejects.toMatchObject(refused);
    expect((await outcomeOf(file, machine, { maxModelLen: 3968 }, limits)).maxModelLen).toBe(3968);
  });

  function model(name: string) {
    const found = MODELS.find((each) => each.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }
});
