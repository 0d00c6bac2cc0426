import { expect, test } from 'vitest';
import { createProgressBar } from '../../../demo/server/progress-bar.mjs';

/** Draws a download of 100 MB, a megabyte each 100 ms, and gives back what was written. */
function draw(isTTY: boolean): string {
  let written = '';
  let time = 0;
  const bar = createProgressBar({ isTTY, columns: 80, write: (text) => (written += text) }, () => time);
  for (let done = 0; done <= 100e6; done += 1e6) {
    bar.update({ stage: 'download', done, total: 100e6 });
    time += 100;
  }
  bar.update({ stage: 'download', done: 100e6, total: 100e6 });
  bar.end();
  return written;
}

test('a terminal sees one line, redrawn, with bytes, rate and time left', () => {
  const written = draw(true);
  expect(written).toContain('\rdownloading [########--------]  50 %  50.0 of 100.0 MB  10.0 MB/s  5 s left');
  expect(written.match(/\n/g)).toHaveLength(1);
  expect(written.endsWith('\n')).toBe(true);
});

test('a log sees a plain line now and then', () => {
  const lines = draw(false).trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines.at(0)).toBe('downloading [########--------]  50 %  50.0 of 100.0 MB  10.0 MB/s  5 s left');
  expect(lines.at(-1)).toContain('100 %');
});
