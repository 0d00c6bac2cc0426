import { expect, test } from 'vitest';
import { race } from '../../../src/engine/race.ts';
import { FakeContest, IDLE_MS, type Speeds } from './fake-contest.ts';

async function raceOf(speeds: Speeds, onRun: FakeContest['onRun'] = () => {}, clockMs = 0.001) {
  const contest = new FakeContest(speeds);
  Object.assign(contest, { onRun, clockMs });
  return { contest, winner: await race(contest, (way, dispatches) => contest.time(way, dispatches)) };
}

test('the fastest wins, and its time and the default’s are those of a dispatch', async () => {
  const { winner } = await raceOf({ default: 0.2, slow: 0.9, fast: 0.1, middling: 0.15 });
  expect(winner.way).toBe('fast');
  expect(winner.ms).toBeCloseTo(0.1, 4);
  expect(winner.defaultMs).toBeCloseTo(0.2, 4);
});

test('the default stays unless another is clearly faster', async () => {
  expect((await raceOf({ default: 0.2, hardly: 0.196 })).winner).toMatchObject({ way: 'default' });
  expect((await raceOf({ default: 0.2, clearly: 0.18 })).winner).toMatchObject({ way: 'clearly' });
  expect((await raceOf({ default: 0.2 })).winner).toMatchObject({ way: 'default' });
});

test('a disturbance makes one run longer, and changes nothing', async () => {
  let runs = 0;
  // Every third run takes twice as long, whoever's it is.
  const { winner } = await raceOf({ default: 0.3, fast: 0.2, other: 0.29 }, () => (++runs % 3 === 0 ? 4 : 0));
  expect(winner.way).toBe('fast');
  expect(winner.ms).toBeCloseTo(0.2, 4);
});

test('runs are short: none is much longer than a few milliseconds, unless a dispatch is', async () => {
  for (const ms of [0.001, 0.02, 0.5, 2.9]) {
    const { contest } = await raceOf({ default: ms, better: 0.7 * ms, worse: 3 * ms });
    expect(Math.max(...contest.runs.map((run) => run.ms))).toBeLessThan(IDLE_MS + 10);
    const ofDefault = contest.runs.filter(({ way }) => way === 'default');
    expect(ofDefault.at(-1)?.ms).toBeGreaterThan(1.5);
  }
  const { contest } = await raceOf({ default: 50, better: 40 });
  expect(Math.max(...contest.runs.map(({ dispatches }) => dispatches))).toBe(1);
});

test('asking that takes long makes runs longer', async () => {
  const { contest } = await raceOf({ default: 0.2, same: 0.2 }, () => 5);
  const long = contest.runs.filter(({ way }) => way === 'default').at(-1);
  expect((long?.dispatches ?? 0) * 0.2).toBeGreaterThan(7);
});

test('a run that is shorter than asking alone was ever seen to be makes no giant', async () => {
  const { contest } = await raceOf({ default: 0.2, same: 0.2 }, () => 40);
  for (let lucky = 4; lucky <= contest.runs.length; lucky++) {
    let runs = 0;
    const { winner } = await raceOf({ default: 0.2, same: 0.2 }, () => (++runs === lucky ? 0 : 40));
    expect(winner.defaultMs / winner.ms, `run ${lucky}`).toBeLessThan(4);
  }
});

test('a coarse clock is given longer runs; one that is too coarse, none', async () => {
  const { winner } = await raceOf({ default: 0.2, fast: 0.17, other: 0.21 }, () => {}, 1);
  expect(winner.way).toBe('fast');
  expect(winner.defaultMs / winner.ms).toBeCloseTo(0.2 / 0.17, 1);
  const contest = new FakeContest({ default: 0.2, fast: 0.1 });
  contest.clockMs = 100;
  await expect(race(contest, contest.time.bind(contest))).rejects.toThrow('too coarse: it goes by 100 ms');
  expect(contest.runs).toEqual([]);
});

test.each([
  [{ default: 0.2, far: 0.4, near: 0.19 }, ['default', 'near']],
  [{ default: 0.2, near: 0.19, a: 0.13, b: 0.12, c: 0.11, d: 0.1 }, ['default', 'd', 'c', 'b']],
])('who is far behind in the heats runs no more: %o', async (speeds, expected) => {
  const { contest } = await raceOf(speeds);
  const long = Math.max(...contest.runs.map(({ dispatches }) => dispatches));
  const finalists = new Set(contest.runs.filter(({ dispatches }) => dispatches === long).map(({ way }) => way));
  expect([...finalists]).toEqual(expected);
});
