import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findChromium } from '../support/chromium.ts';
import { endlessModel } from '../support/demo-site.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0);
const times = { mean: positive, p50: positive, p99: positive, count: positive };

const positives = expect.toSatisfy((values: readonly number[]) => values.length > 0 && values.every((value) => value > 0));
/** A row of the tiny model's. */
const modelRow = (metric: string, dimensions: object, samples: unknown = positives) =>
  expect.objectContaining({ part: 'models', metric, dimensions: expect.objectContaining(dimensions), samples });

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tabserve-bench-'));
  writeFileSync(join(folder, 'tiny.gguf'), endlessModel());
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The table, and the figures as JSON. */
async function bench(...args: readonly string[]): Promise<{ readonly stdout: string; readonly figures: unknown }> {
  const json = join(folder, 'figures.json');
  const model = ['--adapter', 'swiftshader', '--model', join(folder, 'tiny.gguf'), '--json', json];
  const env = { ...process.env, CHROME_PATH: findChromium() };
  const command = ['test/bench/run.mjs', '--quick', ...model, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: root, env });
  return { stdout, figures: JSON.parse(readFileSync(json, 'utf8')) };
}

test('npm run bench measures a tiny model, alone and in every way that tabs share it, and writes its figures', async () => {
  const { stdout, figures } = await bench();
  expect(stdout).toContain('NOT a clean run');
  expect(stdout).toContain('the adapter is software');
  expect(stdout).toContain('Left out: load of 2, 8, 16 at once (--quick)');
  expect(figures).toMatchObject({
    version: 1,
    clean: false,
    adapter: { isSoftware: true },
    model: { file: 'tiny.gguf' },
    prefillTokensPerSecond: positive,
    decodeTokensPerSecond: positive,
    ttftMs: positive,
    perDecodeStep: { dispatches: positive, submits: 1, bindGroupsCreated: 0, bytesReadBack: positive },
    rows: expect.arrayContaining([
      modelRow('prefill', { context: 128 }),
      ...[1, 4].flatMap((batch) => [
        modelRow('decode', { context: 128, batch }),
        modelRow('decode step', { context: 128, batch }),
        modelRow('submits a step', { context: 128, batch }, [1]),
        modelRow('bind groups created a step', { context: 128, batch }, [0]),
      ]),
    ]),
    omitted: expect.arrayContaining([{ what: 'Llama-3.1-8B shape', why: 'the adapter is software' }]),
    load: { levels: [1, 4].map((concurrency) => ({ concurrency, failed: 0, ttftMs: times, tpotMs: times })) },
    stall: { streams: 2, chunks: positive, itlBeforeMs: times, itlDuringMs: times, boundMs: positive },
    prefix: { cachedTokens: positive, firstTtftMs: positive, secondTtftMs: positive },
    close: { freedMs: positive },
    profile: {
      limits: { readGBps: positive, f32Gflops: positive },
      decode: { phase: 'decode', steps: 4, rows: 1, ms: positive },
      prefill: { phase: 'prefill', steps: 2 },
    },
    failover: { bytesFetched: 0, device_lost: { firstTextMs: positive }, worker_died: { firstTextMs: positive } },
  });
  expect(stdout).toMatch(/kernel +calls +ms +share +GB\/s +GFLOP\/s +% of ceiling\n  \S+ +\d/);
  // Each prompt has a salt of its own: the prefix cache has no part in the load's figures.
  expect(figures).toMatchObject({ load: { levels: [{ cachedTokens: 0 }, { cachedTokens: 0 }] } });
});

test('npm run bench -- --only measures what it is asked for, and refuses what there is not', async () => {
  const { stdout, figures } = await bench('--only', 'ttft', '--rate', '5');
  expect(stdout).toContain('Left out: engine, models, load, stall, prefix, close, profile, failover (--only)');
  expect(figures).toMatchObject({ ttftMs: positive, options: { rate: 5 } });
  expect(figures).not.toHaveProperty('load');
  await expect(bench('--only', 'speed')).rejects.toThrow('there is no "speed"');
});
