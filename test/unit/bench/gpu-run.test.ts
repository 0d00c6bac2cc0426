import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Budget } from '../../../demo/bench/models/budget.ts';
import type { AdapterSummary } from '../../../src/core/metrics.ts';
import type { Tunable } from '../../../src/tuning/tunable.ts';
import { packBench } from '../../bench/dawn/pack.mjs';
import { Report } from '../../bench/dawn/report.ts';
import { checkVariants, checkWidths } from '../../bench/gpu-run/correctness-part.ts';
import { MAX_PACKED_BYTES, requireSize } from '../../bench/gpu-run/pack.mjs';
import {
  checkedSettings, EXIT_NO_GPU, PART_SECONDS, PARTS, readOptions, refusalOf, sizesFor, START_SECONDS, TOTAL_SECONDS,
} from '../../bench/gpu-run/plan.ts';
import { missingParts } from '../../bench/gpu-run/rehearse.mjs';
import { GRACE_SECONDS, runParts, type TimedPart } from '../../bench/gpu-run/run-parts.ts';

type Line = Readonly<Record<string, unknown>>;

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const linesOf = (file: string): Line[] =>
  readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Line);

/** A report that prints nothing, and its lines so far. */
function reporting() {
  const file = join(temporaryFolder(), 'lines.jsonl');
  return { report: new Report(file, () => {}), lines: () => linesOf(file) };
}

describe('the plan', () => {
  test('correctness comes before all figures of kernels, and all parts together end within eight minutes', () => {
    expect(PARTS.slice(0, 2)).toEqual(['adapter', 'correctness']);
    const all = PARTS.reduce((sum, part) => sum + PART_SECONDS[part], START_SECONDS);
    expect(all).toBeLessThanOrEqual(TOTAL_SECONDS);
    expect(TOTAL_SECONDS).toBe(480);
    expect(readFileSync(new URL('../../bench/gpu-run/run.sh', import.meta.url), 'utf8')).toContain(`left=$((${TOTAL_SECONDS} -`);
  });

  test('a GPU gets the sizes of real models, in every class and type of cache', () => {
    const { matmulTokens, attentionContexts, models, variantShapes, products } = sizesFor(false);
    expect(matmulTokens).toEqual([1, 8, 64, 256]);
    expect(attentionContexts).toEqual([1024, 8192, 32_768]);
    expect([models, variantShapes].map((shapes) => shapes.map(({ hiddenSize }) => hiddenSize))).toEqual([[2048, 4096], [2048, 4096]]);
    expect(sizesFor(false).mostVariants).toBe(Infinity);
    expect(products).toContainEqual({ type: 'Q4_0', rows: 28_672, columns: 4096 });
    const names = checkedSettings(['f32', 'dp4a', 'f16'], true).map((each) => `${each.numerics} ${each.kvCacheDtype} ${each.subgroups}`);
    expect(names).toEqual(['f32 f16 true', 'dp4a f16 true', 'f16 f16 true', 'f32 f16 false', 'f32 f32 true', 'f32 int8 true']);
    expect(checkedSettings(['f32'], false).every(({ subgroups }) => !subgroups)).toBe(true);
  });

  test('options', () => {
    expect(readOptions([])).toEqual({ json: 'gpu-run.jsonl', parts: PARTS, allowSoftware: false, started: undefined });
    expect(readOptions(['--only', 'models,adapter', '--started', '12'])).toMatchObject({ parts: ['adapter', 'models'], started: 12 });
    expect(() => readOptions(['--only', 'nothing'])).toThrow('there is no "nothing"');
  });

  test('a software adapter is refused by its flag and by its name, unless it is allowed', () => {
    const adapter: AdapterSummary = { vendor: 'nvidia', architecture: 'hopper', device: '', description: 'H200', isSoftware: false, features: [] };
    expect(refusalOf(adapter, { allowSoftware: false })).toBeUndefined();
    expect(refusalOf({ ...adapter, isSoftware: true }, { allowSoftware: false })).toContain('nvidia, hopper, H200');
    expect(refusalOf({ ...adapter, isSoftware: true }, { allowSoftware: true })).toBeUndefined();
  });

  test('no more than 54 MiB travel', () => {
    expect(MAX_PACKED_BYTES).toBe(54 * 2 ** 20);
    requireSize(MAX_PACKED_BYTES);
    expect(() => requireSize(MAX_PACKED_BYTES + 1)).toThrow('more than 54');
  });
});

describe('parts', () => {
  /** Runs parts on a clock that only they move. */
  async function run(parts: readonly (Partial<TimedPart> & { readonly takes: number })[], totalSeconds = 100) {
    const clock = { now: 0 };
    const timers: { at: number; ring: () => void }[] = [];
    const pass = (seconds: number): void => {
      clock.now += 1000 * seconds;
      for (const { at, ring } of timers) if (at <= clock.now) ring();
    };
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => timers.push({ at: clock.now + ms, ring: resolve }));
    const begun: string[] = [];
    const { report, lines } = reporting();
    const timed = parts.map(({ takes, name = '', seconds = 10, run: work }, i): TimedPart => ({
      name: name || `part ${i}`,
      seconds,
      run: async (budget) => {
        begun.push(`${name || `part ${i}`} at ${clock.now / 1000}`);
        pass(takes);
        await work?.(budget);
      },
    }));
    const allEnded = await runParts(timed, { report, endsAt: 1000 * totalSeconds, now: () => clock.now, sleep });
    return { begun, allEnded, lines: lines(), hasFailed: report.hasFailed };
  }

  test('go on after one that fails', async () => {
    const { begun, allEnded, lines, hasFailed } = await run([{ takes: 1, run: () => Promise.reject(new Error('lost')) }, { takes: 1 }]);
    expect(begun).toEqual(['part 0 at 0', 'part 1 at 1']);
    expect([allEnded, hasFailed]).toEqual([true, true]);
    expect(lines).toEqual([{ kind: 'omitted', part: 'part 0', name: 'the rest', why: expect.stringContaining('lost') as string }]);
  });

  test('go on after one that does not end, and say so', async () => {
    const { begun, allEnded, lines } = await run([{ takes: 10 + GRACE_SECONDS, run: () => new Promise(() => {}) }, { takes: 1 }]);
    expect(begun).toEqual(['part 0 at 0', 'part 1 at 20']);
    expect(allEnded).toBe(false);
    expect(lines).toMatchObject([{ part: 'part 0', why: 'it did not end within 10 s' }]);
  });

  test('have their own seconds, or those that are left of all, and none begins after the end', async () => {
    const granted: boolean[] = [];
    const look = (budget: Budget): Promise<void> => Promise.resolve(void granted.push(budget.isSpent));
    const { begun, lines } = await run([
      { takes: 9, run: look }, { takes: 11, run: look }, { takes: 5, seconds: 10, run: look }, { takes: 1 },
    ], 25);
    expect(granted).toEqual([false, true, true]);
    expect(begun).toHaveLength(3);
    expect(lines).toMatchObject([{ part: 'part 2', why: 'it did not end within 5 s' }, { part: 'part 3', name: 'all of it', why: 'no time left' }]);
  });
});

describe('correctness', () => {
  const time = new Budget(10, () => 0);

  test('other bits in a width are a failure, which names the comparison', async () => {
    const { report, lines } = reporting();
    const widths = { name: 'matmul', key: '', prepare: async () => {}, useNarrowest: () => {} };
    await checkWidths({ report }, time, 'tiny', { ...widths, comparisons: [async () => true, async () => true] });
    expect([report.hasFailed, lines()[0]?.['passed']]).toEqual([false, true]);
    await checkWidths({ report }, time, 'tiny', { ...widths, comparisons: [async () => true, async () => false] });
    expect(report.hasFailed).toBe(true);
    expect(lines()[1]).toMatchObject({ kind: 'check', passed: false, detail: '2 comparisons, of which other bits: 1' });
  });

  test('all candidates are compared, and one with other bits, however many are right, is a failure', async () => {
    const { report, lines } = reporting();
    const asked: string[] = [];
    const trial = {
      variants: ['default', 'a', 'b'], refused: ['c'], clockMs: 1, use: () => {}, time: () => Promise.reject(new Error('not timed')),
      agrees: async (name: string) => asked.push(name) > 0 && name !== 'b',
    };
    const tunable: Tunable = {
      key: '', name: 'matmul', tokens: 8, trialStep: { tokens: 64, bytes: 1 }, variant: 'default', isReady: true,
      candidates: ['a', 'b', 'c'],
      prepare: async (candidates) => (candidates.length === 3 ? trial : Promise.reject(new Error('not all'))),
    };
    const sizes = { mostVariants: Infinity };
    await checkVariants({ report, sizes }, time, 'tiny', tunable);
    expect(asked).toEqual(['a', 'b']);
    expect(lines()).toMatchObject([
      { kind: 'omitted', name: 'tiny: variants of matmul, 8 a lane, c', why: 'it does not compile' },
      { kind: 'check', passed: false, detail: '2 variants, other bits than the default: b' },
    ]);
    await checkVariants({ report, sizes }, new Budget(0, () => 0), 'tiny', tunable);
    expect(lines().at(-1)).toMatchObject({ kind: 'omitted', why: 'no time left' });
  });
});

test('a rehearsal misses parts without a result, and an end', () => {
  const text = (lines: readonly Line[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const head = { kind: 'head', options: { parts: ['adapter', 'models'] } };
  const end = { kind: 'end', seconds: 1, failures: [] };
  expect(missingParts(text([head, { kind: 'facts', part: 'adapter' }, { kind: 'row', part: 'models' }, end]))).toEqual([]);
  expect(missingParts(text([head, { kind: 'facts', part: 'adapter' }, { kind: 'omitted', part: 'models' }]))).toEqual(['models', 'the end']);
});

/** Dawn with an adapter that names itself as lavapipe does. */
const SOFTWARE_DAWN = `
const device = { features: new Set(), lost: new Promise(() => {}), destroy: () => {} };
const info = { vendor: 'mesa', architecture: '', device: '', description: 'llvmpipe (LLVM 19.1)', isFallbackAdapter: false };
const adapter = { info, features: new Set(), limits: {}, requestDevice: async () => device };
export const create = () => ({ wgslLanguageFeatures: new Set(), requestAdapter: async () => adapter });
export const globals = {};
`;

test('on a software adapter, or without any, the run ends at once with 3, after lines that say why', async () => {
  const folder = temporaryFolder();
  const [bench, dawn, json] = ['bench.mjs', 'dawn.mjs', 'lines.jsonl'].map((file) => join(folder, file)) as [string, string, string];
  await packBench(bench, new URL('../../bench/gpu-run/main.ts', import.meta.url));
  writeFileSync(dawn, SOFTWARE_DAWN);
  const { status } = spawnSync(process.execPath, [bench, '--json', json], { env: { TABSERVE_WEBGPU: `file://${dawn}` } });
  expect(status).toBe(EXIT_NO_GPU);
  expect(linesOf(json).map(({ kind }) => kind)).toEqual(['head', 'end']);
  expect(linesOf(json)[1]?.['failures']).toEqual([expect.stringContaining('llvmpipe')]);
  writeFileSync(dawn, 'export const create = () => ({ requestAdapter: async () => null }); export const globals = {};');
  expect(spawnSync(process.execPath, [bench, '--json', json], { env: { TABSERVE_WEBGPU: `file://${dawn}` } }).status).toBe(EXIT_NO_GPU);
  expect(linesOf(json)).toMatchObject([{ kind: 'end', failures: [expect.stringContaining('no adapter')] }]);
});

test.skipIf(process.platform !== 'linux')('the script unpacks what lies beside it, passes arguments and exit code on, and leaves nothing', () => {
  const folder = temporaryFolder();
  const [packed, temporary, content] = ['packed', 'tmp', 'content'].map((name) => join(folder, name)) as [string, string, string];
  for (const each of [packed, temporary, join(content, 'lib', 'drivers')]) mkdirSync(each, { recursive: true });
  const script = fileURLToPath(new URL('../../bench/gpu-run/run.sh', import.meta.url));
  writeFileSync(join(packed, 'run.sh'), readFileSync(script));
  // In the place of Node: its arguments, and where Dawn is.
  writeFileSync(join(content, 'node'), '#!/bin/sh\n[ "$1" = -e ] && exit 0\necho "$@ $TABSERVE_WEBGPU"\nexit 3\n', { mode: 0o755 });
  const pack = spawnSync('tar', ['-cJf', join(packed, 'gpu-run.tar.xz'), '-C', content, '.']);
  expect(pack.status).toBe(0);
  const { status, stdout } = spawnSync('sh', [join(packed, 'run.sh'), '--json', 'a b.jsonl'], { cwd: folder, encoding: 'utf8', env: { TMPDIR: temporary } });
  expect(stdout).toMatch(/bench\.mjs --started \d{10} --json a b\.jsonl file:\/\/.*\/webgpu\/index\.js\n$/);
  expect(status).toBe(3);
  expect(readdirSync(temporary)).toEqual([]);
  writeFileSync(join(packed, 'gpu-run.tar.xz'), 'not an archive');
  expect(spawnSync('sh', [join(packed, 'run.sh')], { cwd: folder, env: { TMPDIR: temporary } }).status).toBe(1);
});
