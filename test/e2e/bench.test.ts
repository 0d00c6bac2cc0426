import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { findChromium } from '../support/chromium.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('npm run bench measures a tiny model and writes its figures', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-bench-'));
  const json = join(folder, 'figures.json');
  try {
    const args = ['test/bench/run.mjs', '--quick', '--adapter', 'swiftshader', '--model', 'demo/public/babble.gguf'];
    const env = { ...process.env, CHROME_PATH: findChromium() };
    const { stdout } = await promisify(execFile)(process.execPath, [...args, '--json', json], { cwd: root, env });
    expect(stdout).toContain('NOT a clean run');
    expect(stdout).toContain('the adapter is software');
    const figures: unknown = JSON.parse(readFileSync(json, 'utf8'));
    const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0);
    expect(figures).toMatchObject({
      clean: false,
      adapter: { isSoftware: true },
      model: { file: 'babble.gguf' },
      prefillTokensPerSecond: positive,
      decodeTokensPerSecond: positive,
      ttftMs: positive,
      perDecodeStep: { dispatches: positive, submits: 1, bindGroupsCreated: 0, bytesReadBack: positive },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
