import { expect, test } from 'vitest';
import type { LoadProgress } from '../../../src/core/progress.ts';
import { ProgressMeter } from '../../../src/download/progress-meter.ts';

function meter(total: number): { meter: ProgressMeter; reports: LoadProgress[]; at: (ms: number) => void } {
  const reports: LoadProgress[] = [];
  let time = 0;
  const made = new ProgressMeter((report) => reports.push(report), () => time);
  made.total = total;
  return { meter: made, reports, at: (ms) => (time = ms) };
}

test('distinct bytes are counted once, in whatever order and overlap they come', () => {
  const { meter: m, reports, at } = meter(1000);
  const seen = new Set<number>();
  const ranges = [[0, 100], [200, 100], [50, 200], [0, 300], [900, 100], [899, 1], [400, 1], [402, 1], [401, 1], [300, 600]] as const;
  for (const [index, [offset, length]] of ranges.entries()) {
    at(index * 1000);
    m.count('download', offset, length);
    for (let byte = offset; byte < offset + length; byte++) seen.add(byte);
    expect(reports.at(-1)?.bytesDone).toBe(seen.size);
  }
  expect(reports.at(-1)).toMatchObject({ bytesDone: 1000, bytesTotal: 1000, secondsLeft: 0 });
  expect(reports).toHaveLength(ranges.length - 1); // (0, 300) added nothing
});

test('the rate is that of the last seconds, and the time left follows from it', () => {
  const { meter: m, reports, at } = meter(100_000);
  for (let second = 0; second <= 10; second++) {
    at(second * 1000);
    m.count('download', second * 100, 100); // 100 bytes a second
  }
  expect(reports.at(-1)).toMatchObject({ bytesPerSecond: 100, secondsLeft: (100_000 - 1100) / 100 });
  for (let second = 11; second <= 16; second++) {
    at(second * 1000);
    m.count('download', 2000 + second * 1000, 1000);
  }
  expect(reports.at(-1)?.bytesPerSecond).toBe(1000); // the slow start has left the window
});

test('about ten reports a second, and always the last one', () => {
  const { meter: m, reports, at } = meter(10_000);
  for (let ms = 0; ms < 1000; ms++) {
    at(ms);
    m.count('load', ms * 10, 10);
  }
  expect(reports.length).toBeGreaterThanOrEqual(10);
  expect(reports.length).toBeLessThanOrEqual(11);
  expect(reports.at(-1)).toMatchObject({ bytesDone: 10_000, secondsLeft: 0 });
});

test('the stage is that of the last bytes, and its rate starts anew with it', () => {
  const { meter: m, reports, at } = meter(1_000_000);
  for (let step = 0; step < 5; step++) {
    at(step * 200);
    m.count('load', step * 100_000, 100_000);
  }
  expect(reports.at(-1)).toMatchObject({ stage: 'load', bytesPerSecond: 625_000 });
  at(1000);
  m.count('download', 600_000, 100);
  at(2000);
  m.count('download', 600_100, 100);
  expect(reports.at(-1)).toMatchObject({ stage: 'download', bytesDone: 500_200, bytesPerSecond: 200 });
});
