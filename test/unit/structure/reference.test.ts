import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { writeReference } from '../../../docs/reference.mjs';
import { readText, ROOT } from './source-graph.ts';

test('docs/api.md says what the docstrings say (npm run docs writes it), and every export has one', () => {
  const reference = writeReference();
  expect(readText('docs/api.md')).toBe(reference);
  for (const part of ['#### createClient', '#### listModels', 'workerUrl?', '#### TabserveError']) expect(reference).toContain(part);
  const codes = /^export type ErrorCode =([^;]+);/m.exec(readText('src/core/errors.ts'))?.[1]?.match(/(?<=')\w+(?=')/g);
  expect(codes?.length).toBeGreaterThan(10);
  for (const code of codes ?? []) expect(reference).toMatch(new RegExp(`^- \`${code}\`: .+`, 'm'));
  expect(reference).not.toMatch(/#private|export |declare /);
});

/** The signatures of each of the reference's sections, by what is imported. */
function signatures(reference: string): ReadonlyMap<string, readonly string[]> {
  const sections = reference.split(/^## /m).slice(1);
  return new Map(sections.map((section) => {
    const name = /^`(.*)`/.exec(section)?.[1] ?? '';
    return [name, [...section.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code)];
  }));
}

/** The names that signatures declare. */
function namesOf(code: readonly string[]): readonly string[] {
  return code.map((each) => /^(?:abstract )?\w+ (\w+)/.exec(each)?.[1] ?? '');
}

/** What the compiler finds wrong with modules that have nothing but the platform's types. */
function compile(modules: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-reference-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const files = Array.from(modules, ([name, code]) => {
    const file = `${name.replace('/', '-')}.d.ts`;
    const own = namesOf(code);
    const main = namesOf(modules.get('tabserve') ?? []).filter((each) => name !== 'tabserve' && !own.includes(each));
    const imports = main.length === 0 ? '' : `import type { ${main.join(', ')} } from './tabserve';\n`;
    writeFileSync(join(folder, file), imports + code.map((each) => `export declare ${each}`).join('\n'));
    return file;
  });
  const flags = ['--noEmit', '--strict', '--target', 'es2023', '--lib', 'es2023,esnext.disposable,dom,dom.iterable,dom.asynciterable', '--types', ''];
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  return spawnSync(process.execPath, [tsc, '--ignoreConfig', ...flags, ...files], { cwd: folder, encoding: 'utf8' }).stdout.trim().split('\n');
}

test('the reference names no type that neither it nor the platform documents', () => {
  const sections = signatures(readText('docs/api.md'));
  expect([...sections.keys()]).toEqual(['tabserve', 'tabserve/cache', 'tabserve/testing']);
  const found = compile(new Map([...sections, ['wrong', ['interface Shown extends Hidden {}\n']]]));
  expect(found).toEqual([expect.stringMatching(/^wrong\.d\.ts.* Cannot find name 'Hidden'/)]);
});

test('the reference says what types are made of: inherited members and a constant’s values', () => {
  const code = new Map([...signatures(readText('docs/api.md')).values()].flat().map((each) => [namesOf([each])[0], each]));
  for (const member of ['requestsRunning', 'kvBlocksTotal', 'decodeTokensPerSecond', 'kernelsToCompile']) {
    expect(code.get('EngineMetrics')).toContain(`readonly ${member}: number;`);
  }
  expect(code.get('KvCacheDtype')).toBe("type KvCacheDtype = 'f32' | 'f16' | 'int8';\n");
  expect([...code.values()].join()).not.toMatch(/typeof [A-Z]/);
  for (const [, link] of readText('docs/api.md').matchAll(/\{@link (\w+)/g)) expect([...code.keys()]).toContain(link);
});
