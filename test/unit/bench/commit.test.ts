import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { describeCommit } from '../../../demo/bench/commit.mjs';

test('a commit says whether files differ from it, and how, but for results that a run writes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-commit-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  expect(describeCommit(folder)).toBe('unknown');
  const git = (...args: readonly string[]): void => void execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: folder });
  const results = join(folder, 'demo/bench/results');
  mkdirSync(results, { recursive: true });
  for (const file of [join(folder, 'code.ts'), join(results, 'run.json')]) writeFileSync(file, 'first');
  git('init', '-q');
  git('add', '.');
  git('commit', '-qm', 'first');
  const clean = describeCommit(folder);
  expect(clean).toMatch(/^[0-9a-f]{7,}$/);
  writeFileSync(join(results, 'run.json'), 'second');
  expect(describeCommit(folder)).toBe(clean);
  writeFileSync(join(folder, 'code.ts'), 'second');
  const second = describeCommit(folder);
  expect(second).toMatch(new RegExp(`^${clean}-dirty\\.[0-9a-f]{8}$`));
  expect(describeCommit(folder)).toBe(second);
  writeFileSync(join(folder, 'code.ts'), 'third');
  expect(describeCommit(folder)).not.toBe(second);
});
