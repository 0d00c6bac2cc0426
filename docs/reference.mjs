// @ts-check
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Module } from './declarations.mjs';
import { TypeWriter } from './type-writer.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The package's entry points, by what is imported. */
const ENTRIES = { tabserve: 'index.d.ts', 'tabserve/cache': 'cache.d.ts', 'tabserve/testing': 'testing.d.ts' };

/** What a declaration's syntax is called, in the order in which the reference has them. */
const KINDS = /** @type {const} */ ({
  TSDeclareFunction: 'Functions',
  FunctionDeclaration: 'Functions',
  VariableDeclaration: 'Constants',
  ClassDeclaration: 'Classes',
  TSInterfaceDeclaration: 'Types',
  TSTypeAliasDeclaration: 'Types',
});

/** @typedef {{ name: string, kind: string, doc: string, code: string }} Exported */

/**
 * The API reference, as docs/api.md has it: every export of the package with its docstring and its declaration.
 *
 * @returns {string}
 * @throws where an export has no docstring
 */
export function writeReference() {
  const types = mkdtempSync(join(tmpdir(), 'tabserve-types-'));
  try {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', types], { stdio: 'inherit' });
    const main = Module.of(join(types, ENTRIES.tabserve)).exported().map(({ name }) => name);
    const sections = Object.entries(ENTRIES).map(([entry, file]) => sectionOf(entry, exportsOf(join(types, file), main)));
    return `# API reference\n\nWritten by \`npm run docs\` from the docstrings in \`src/\`.\n\n${sections.join('\n')}`;
  } finally {
    rmSync(types, { recursive: true });
  }
}

/**
 * @param {string} file a module's declarations
 * @param {readonly string[]} main the exports of the package's main entry point, which every section may name
 * @returns {Exported[]}
 */
function exportsOf(file, main) {
  const declarations = Module.of(file).exported();
  const writer = new TypeWriter(new Set([...main, ...declarations.map(({ name }) => name)]));
  return declarations.map((declaration) => {
    const { name, node, statement, module } = declaration;
    const kind = /** @type {Record<string, string | undefined>} */ (KINDS)[node.type];
    if (kind === undefined) throw new Error(`${module.file}: what is a ${node.type}?`);
    return { name, kind, doc: module.commentBefore(statement.start)?.value ?? '', code: codeOf(writer.write(declaration)) };
  });
}

/** A declaration as a reader wants it.
 * @param {string} text */
function codeOf(text) {
  return text
    .replace(/^export (declare )?/, '')
    .replace(/^ {4}(#private|private .*);\n/gm, '')
    .replace(/^( {4})+/gm, (indent) => indent.replaceAll('    ', '  '));
}

/**
 * @param {string} entry
 * @param {readonly Exported[]} exported
 */
function sectionOf(entry, exported) {
  const undocumented = exported.filter(({ doc }) => doc === '').map(({ name }) => name);
  if (undocumented.length > 0) throw new Error(`${entry} exports without a docstring: ${undocumented.join(', ')}`);
  const parts = [...new Set(Object.values(KINDS))].flatMap((kind) => {
    const some = exported.filter((each) => each.kind === kind);
    if (kind === 'Types') some.sort((a, b) => a.name.localeCompare(b.name, 'en'));
    const texts = some.map(({ name, doc, code }) => `#### ${name}\n\n${prose(doc)}\n\n\`\`\`ts\n${code}\n\`\`\`\n`);
    return some.length === 0 ? [] : [`### ${kind}\n\n${texts.join('\n')}`];
  });
  return `## \`${entry}\`\n\n${parts.join('\n')}`;
}

/** A docstring as Markdown: its tags become a list.
 * @param {string} comment */
function prose(comment) {
  const text = comment.replace(/^\*/, '').replace(/\n\s*\* ?/g, '\n').replace(/\{@link (\S+?)\}/g, '`$1`').trim();
  const [body = '', ...tags] = text.split(/(?:^|\s)@(?=(?:param|returns|throws|default)\b)/);
  const items = tags.map((tag) => {
    const [, name, rest] = /^(\w+)\s+([^]*)$/.exec(tag.trim()) ?? [];
    return `- *${name}* ${(rest ?? '').replace(/\s+/g, ' ')}`;
  });
  return [body.trim(), items.join('\n')].filter((part) => part !== '').join('\n\n');
}
