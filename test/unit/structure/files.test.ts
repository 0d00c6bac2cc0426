import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { listFiles, readText, ROOT } from './source-graph.ts';

const CODE = ['src', 'demo', 'shaders', 'test'].flatMap((folder) => listFiles(folder, '.ts', '.mjs', '.wgsl', '.css'));

test('no file of code is over 300 lines; tests may have 400', () => {
  expect(CODE.length).toBeGreaterThan(40);
  const lines = (file: string): number => readText(file).split('\n').length - 1;
  expect(CODE.filter((file) => lines(file) > (file.startsWith('test/') ? 400 : 300))).toEqual([]);
});

test('file names are kebab-case', () => {
  expect(CODE.filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)+$/.test(basename(file)))).toEqual([]);
});

test('nothing over 2 MB is committed', ({ skip }) => {
  const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) return skip('not a git checkout');
  const files = stdout.split('\0').filter((file) => file !== '');
  const sizes = files.map((file) => ({
    file,
    bytes: statSync(join(ROOT, file), { throwIfNoEntry: false })?.size ?? 0,
  }));
  expect(sizes.filter(({ bytes }) => bytes > 2_000_000)).toEqual([]);
  return undefined;
});
