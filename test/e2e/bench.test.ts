import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeCommit } from '../../demo/bench/commit.mjs';
import { PARTS } from '../bench/parts.mjs';
import { readResults } from '../bench/results.mjs';
import { findChromium } from '../support/chromium.ts';
import { endlessModel } from '../support/demo-site.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0);
const positives = expect.toSatisfy((values: readonly number[]) => values.length > 0 && values.every((value) => value > 0));

/** A row of the tiny model's. */
const row = (part: string, metric: string, samples: unknown = positives, dimensions: object = {}) =>
  expect.objectContaining({ part, metric, samples, dimensions: expect.objectContaining(dimensions) });

/** All of it once; its first 64 bytes are asked for alone, before the rest. */
const wholeModel = expect.toSatisfy(([bytes = NaN]: readonly number[]) => bytes >= modelBytes && bytes <= modelBytes + 64);

let folder: string;
let modelBytes: number;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tabserve-bench-'));
  const model = endlessModel();
  modelBytes = model.length;
  writeFileSync(join(folder, 'tiny.gguf'), model);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RESULTS = 'results.json';

/** The bench's process, measuring the tiny model. */
function start(...args: readonly string[]) {
  const model = ['--adapter', 'swiftshader', '--model', join(folder, 'tiny.gguf')];
  const env = { ...process.env, CHROME_PATH: findChromium() };
  return spawn(process.execPath, ['test/bench/run.mjs', '--quick', ...model, ...args], { cwd: root, env });
}

/** What it printed, how it ended, and the results in its file, if there are any. */
async function ended(bench: ReturnType<typeof start>) {
  const [stdout, stderr, [status]] = await Promise.all([text(bench.stdout), text(bench.stderr), once(bench, 'exit')]);
  const file = join(folder, RESULTS);
  const results = existsSync(file) ? readResults(file) : undefined;
  return { stdout, stderr, status: status as unknown, results };
}

test('npm run bench measures a tiny model, alone and in every way that tabs share it, and writes its results', async () => {
  const { stdout, results, status } = await ended(start('--json', join(folder, RESULTS)));
  expect(status).toBe(0);
  expect(stdout).toContain('NOT a clean run');
  expect(stdout).toContain('the adapter is software');
  expect(stdout).toContain('Left out: load of 2, 8, 16 at once (--quick)');
  expect(results).toMatchObject({
    clean: false,
    head: { suite: 'chromium', adapter: { isSoftware: true }, model: { file: 'tiny.gguf', weightBytes: positive } },
    parts: Object.fromEntries(PARTS.map((part) => [part, { repetitions: 1, seconds: positive }])),
    rows: expect.arrayContaining([
      row('engine', 'prefill', positives, { prompt: 128 }),
      row('engine', 'decode', positives, { context: 128, batch: 1 }),
      row('engine', 'dispatches'),
      row('engine', 'submits', [1]),
      row('engine', 'bind groups created', [0]),
      row('models', 'prefill', positives, { context: 128 }),
      ...[1, 4].flatMap((batch) => [
        row('models', 'decode', positives, { context: 128, batch }),
        row('models', 'decode step', positives, { context: 128, batch }),
        row('models', 'submits a step', [1], { context: 128, batch }),
        row('models', 'bind groups created a step', [0], { context: 128, batch }),
      ]),
      ...['cold', 'warm', 'beside another tab'].flatMap((kind) => [
        row('start', 'ready', positives, { start: kind }),
        row('start', 'first text', positives, { start: kind }),
        row('start', 'fetched', kind === 'cold' ? wholeModel : [0], { start: kind }),
      ]),
      row('start', 'first text, of reading the cache', positives, { start: 'warm' }),
      ...['weights', 'kvCache', 'steps', 'all'].map((use) => row('memory', 'GPU buffers', positives, { use })),
      ...['page', 'engine'].flatMap((of) =>
        ['loaded', '2 streams'].map((when) => row('memory', 'JS heap', positives, { of, when })),
      ),
      ...[0, 2].map((streams) => row('busy', 'TTFT', positives, { 'other streams': streams })),
      row('accuracy', 'perplexity', positives, { numerics: 'f32' }),
      ...['256 MiB', 'auto'].flatMap((kvCache) => [
        row('reloads', 'first token', positives, { kvCache, load: 1 }),
        row('reloads', 'GPU process, unloaded', positives, { kvCache, load: 1 }),
        row('reloads', 'buffers left', [0], { kvCache, load: 1 }),
      ]),
      row('limits', 'read'),
      row('limits', 'f32'),
      row('ttft', 'TTFT'),
      ...[1, 4].flatMap((concurrency) => [
        row('load', 'failed', [0], { concurrency }),
        row('load', 'output', positives, { concurrency }),
        row('load', 'TTFT p99', positives, { concurrency }),
        row('load', 'goodput', positives, { concurrency, 'TTFT ms': 5000, 'TPOT ms': 500 }),
      ]),
      row('stall', 'ITL p99 during'),
      row('prefix', 'cached'),
      row('close', 'blocks free after'),
      row('failover', 'first text', positives, { fault: 'device_lost' }),
      row('failover', 'first text', positives, { fault: 'worker_died' }),
      row('failover', 'weights fetched', [0]),
    ]),
    details: { profile: [{ decode: { phase: 'decode', steps: 4, rows: 1 }, prefill: { phase: 'prefill', steps: 2 } }] },
  });
  expect(results?.leftOut).toContain('models: Llama-3.1-8B shape (the adapter is software)');
  expect(results?.rows.find(({ part, metric }) => part === 'engine' && metric === 'decode')?.roofline).toEqual(positive);
  expect(stdout).toMatch(/kernel +calls +ms +share +GB\/s +GFLOP\/s +% of ceiling\n {2}\S+ +\d/);
  // Each prompt has a salt of its own: the prefix cache has no part in the load's figures.
  const uncached = { requests: expect.arrayContaining([expect.objectContaining({ cachedTokens: 0 })]) };
  expect(results?.details).toMatchObject({ load: [{ levels: [uncached, uncached] }] });
  expect(JSON.stringify(results?.details['load'])).not.toMatch(/"cachedTokens":[1-9]/);
});

test('npm run bench -- --only measures what it is asked for, as often, and refuses what there is not', async () => {
  const { stdout, results } = await ended(start('--only', 'ttft', '--rate', '5', '--repeat', '2', '--json', join(folder, RESULTS)));
  expect(stdout).toContain('Left out: start, engine, models, accuracy, reloads, memory, busy, load, stall, prefix, close, profile, failover (--only)');
  expect(results).toMatchObject({ head: { options: { rate: 5 } }, parts: { ttft: { repetitions: 2 } } });
  expect(results?.rows).toContainEqual(row('ttft', 'TTFT', expect.toSatisfy((samples: readonly number[]) => samples.length === 2)));
  expect(results?.rows).not.toContainEqual(row('load', 'output'));
  expect((await ended(start('--only', 'speed'))).stderr).toContain('there is no "speed"');
});

test('a run that is interrupted says so, and goes on where it was', async ({ skip }) => {
  if (describeCommit() === 'unknown') return skip('not a git checkout');
  const file = join(folder, RESULTS);
  const bench = start('--only', 'ttft,close', '--repeat', '2', '--json', file);
  bench.stderr.on('data', (line: Buffer) => {
    if (!line.toString().includes('ttft, 1 of 2: done')) return;
    bench.kill('SIGINT');
    setTimeout(() => bench.kill('SIGINT'), 10); // as npm does when Ctrl-C is pressed
  });
  const first = await ended(bench);
  expect(first.status).toBe(130);
  expect(first.results?.parts).toEqual({ limits: { repetitions: 1, seconds: positive }, ttft: { repetitions: 1, seconds: positive } });
  expect(first.stdout).toContain('the run was interrupted before the end of limits, ttft, close');
  const rest = await ended(start('--only', 'ttft,close', '--repeat', '2', '--resume', file));
  expect(rest.stderr).not.toContain('ttft, 1 of 2: done');
  expect(rest.stderr).toContain('close, 1 of 2: done');
  expect(rest.status).toBe(0);
  expect(rest.results?.parts).toMatchObject({ ttft: { repetitions: 2 }, close: { repetitions: 2 } });
  const [ttft = NaN] = first.results?.rows.find(({ metric }) => metric === 'TTFT')?.samples ?? [];
  expect(rest.results?.rows).toContainEqual(row('ttft', 'TTFT', [ttft, positive]));
  expect(rest.stdout).not.toContain('interrupted');
  // Fewer repetitions than there are leave nothing to measure.
  expect((await ended(start('--only', 'ttft', '--resume', file))).status).toBe(0);
  return undefined;
});
