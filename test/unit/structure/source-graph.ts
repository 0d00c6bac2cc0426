import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from 'vite';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Source file -> what it imports, types included: a path from the repository's root, or a package as written. */
export type SourceGraph = ReadonlyMap<string, readonly string[]>;

/** Files below a folder whose names end so; paths are from the repository's root. Built and installed ones are left out. */
export function listFiles(folder: string, ...endings: string[]): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => posix.join(folder, file.replaceAll('\\', '/')))
    .filter((file) => endings.some((ending) => file.endsWith(ending)) && !/(^|\/)(node_modules|dist)\//.test(file))
    .toSorted();
}

export function readText(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** The imports of all TypeScript and JavaScript files below the folders. */
export function readSourceGraph(...folders: string[]): SourceGraph {
  const files = folders.flatMap((folder) => listFiles(folder, '.ts', '.mjs', '.js'));
  return new Map(files.map((file) => [file, importsOf(file, readText(file))]));
}

/** Everything a module imports or re-exports, as types and by `import.meta.glob` too; `?raw` and the like are taken off. */
export function importsOf(file: string, text: string): readonly string[] {
  const { module, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const requests = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.map(({ moduleRequest }) => moduleRequest?.value)),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) => literal(text.slice(start, end))),
    ...[...text.matchAll(/\bimport\.meta\.glob\(\s*(['"])(?<request>[^'"]+)\1/g)].map(
      (glob) => glob.groups?.['request'],
    ),
    ...[...text.matchAll(/\bimport\((['"])(?<request>[^'"]+)\1\)\./g)].map((type) => type.groups?.['request']),
  ];
  const resolved = requests
    .filter((request) => request !== undefined)
    .map((request) => request.replace(/\?.*$/, ''))
    .map((request) => (request.startsWith('.') ? posix.join(posix.dirname(file), request) : request));
  return [...new Set(resolved)];
}

/** Every relative path that a file has in quotes or parentheses, by which it may be imported, linked, read or served. */
export function relativePathsIn(file: string, text: string): readonly string[] {
  const found = [...text.matchAll(/["'`(](?<path>\.{1,2}\/[^"'`()\s]*)/g)];
  return found.map(({ groups }) => posix.join(posix.dirname(file), groups?.['path'] ?? ''));
}

/** A dynamic import's request where it is a plain string. */
function literal(expression: string): string | undefined {
  return /^(['"])(?<request>.*)\1$/s.exec(expression)?.groups?.['request'];
}
