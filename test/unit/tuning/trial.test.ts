import { expect, test } from 'vitest';
import { runTrial } from '../../../src/tuning/trial.ts';
import { FakeTrial, IDLE_MS, type Speeds } from './fake-trial.ts';

async function trialOf(speeds: Speeds, onRun: FakeTrial['onRun'] = () => {}, clockMs = 0.001) {
  const trial = new FakeTrial(speeds);
  Object.assign(trial, { onRun, clockMs });
  return { trial, best: await runTrial(trial, (variant, dispatches) => trial.time(variant, dispatches)) };
}

test('the fastest wins, and its time and the default’s are those of a dispatch', async () => {
  const { best } = await trialOf({ default: 0.2, slow: 0.9, fast: 0.1, middling: 0.15 });
  expect(best.variant).toBe('fast');
  expect(best.ms).toBeCloseTo(0.1, 4);
  expect(best.firstMs).toBeCloseTo(0.2, 4);
});

test('the default stays unless another is clearly faster', async () => {
  expect((await trialOf({ default: 0.2, hardly: 0.196 })).best).toMatchObject({ variant: 'default' });
  expect((await trialOf({ default: 0.2, clearly: 0.18 })).best).toMatchObject({ variant: 'clearly' });
  expect((await trialOf({ default: 0.2 })).best).toMatchObject({ variant: 'default' });
});

test('a disturbance makes one run longer, and changes nothing', async () => {
  let runs = 0;
  // Every third run takes twice as long, whoever's it is.
  const { best } = await trialOf({ default: 0.3, fast: 0.2, other: 0.29 }, () => (++runs % 3 === 0 ? 4 : 0));
  expect(best.variant).toBe('fast');
  expect(best.ms).toBeCloseTo(0.2, 4);
});

test('runs are short: none is much longer than a few milliseconds, unless a dispatch is', async () => {
  for (const ms of [0.001, 0.02, 0.5, 2.9]) {
    const { trial } = await trialOf({ default: ms, better: 0.7 * ms, worse: 3 * ms });
    expect(Math.max(...trial.runs.map((run) => run.ms))).toBeLessThan(IDLE_MS + 10);
    const ofDefault = trial.runs.filter(({ variant }) => variant === 'default');
    expect(ofDefault.at(-1)?.ms).toBeGreaterThan(1.5);
  }
  const { trial } = await trialOf({ default: 50, better: 40 });
  expect(Math.max(...trial.runs.map(({ dispatches }) => dispatches))).toBe(1);
});

test('asking that takes long makes runs longer', async () => {
  const { trial } = await trialOf({ default: 0.2, same: 0.2 }, () => 5);
  const long = trial.runs.filter(({ variant }) => variant === 'default').at(-1);
  expect((long?.dispatches ?? 0) * 0.2).toBeGreaterThan(7);
});

test('a run that is shorter than asking alone was ever seen to be makes no giant', async () => {
  const { trial } = await trialOf({ default: 0.2, same: 0.2 }, () => 40);
  for (let lucky = 4; lucky <= trial.runs.length; lucky++) {
    let runs = 0;
    const { best } = await trialOf({ default: 0.2, same: 0.2 }, () => (++runs === lucky ? 0 : 40));
    expect(best.firstMs / best.ms, `run ${lucky}`).toBeLessThan(4);
  }
});

test('a coarse clock is given longer runs; one that is too coarse, none', async () => {
  const { best } = await trialOf({ default: 0.2, fast: 0.17, other: 0.21 }, () => {}, 1);
  expect(best.variant).toBe('fast');
  expect(best.firstMs / best.ms).toBeCloseTo(0.2 / 0.17, 1);
  const trial = new FakeTrial({ default: 0.2, fast: 0.1 });
  trial.clockMs = 100;
  await expect(runTrial(trial, trial.time.bind(trial))).rejects.toThrow('too coarse: it goes by 100 ms');
  expect(trial.runs).toEqual([]);
});

test.each([
  [{ default: 0.2, far: 0.4, near: 0.19 }, ['default', 'near']],
  [{ default: 0.2, near: 0.19, a: 0.13, b: 0.12, c: 0.11, d: 0.1 }, ['default', 'd', 'c', 'b']],
])('a variant far behind in the screening runs no more: %o', async (speeds, expected) => {
  const { trial } = await trialOf(speeds);
  const long = Math.max(...trial.runs.map(({ dispatches }) => dispatches));
  const finalists = new Set(trial.runs.filter(({ dispatches }) => dispatches === long).map(({ variant }) => variant));
  expect([...finalists]).toEqual(expected);
});
