import { spawn, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readText, ROOT } from '../unit/structure/source-graph.ts';
import { HUB_MODEL } from './installed-package.ts';

export const MODEL_PATH = '/model.gguf';

/** A copy of a folder of docs/examples, with the packages that its package.json names, and a model of its own site's. */
export class ExampleApp {
  readonly folder = mkdtempSync(join(tmpdir(), 'tabserve-example-'));

  /** @param tarball of the package, in the place of one from the registry */
  constructor(name: string, tarball: string) {
    cpSync(join(ROOT, 'docs/examples', name), this.folder, { recursive: true });
    const sources = readdirSync(this.folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[jt]sx?$/.test(file));
    let replaced = 0;
    for (const file of sources.map((source) => join(this.folder, source))) {
      const text = readFileSync(file, 'utf8');
      replaced += text.split(HUB_MODEL).length - 1;
      writeFileSync(file, text.replaceAll(HUB_MODEL, `'${MODEL_PATH}'`));
    }
    if (replaced !== 1) throw new Error(`docs/examples/${name} names the hub's model ${replaced} times`);
    this.npm('install', '--no-audit', '--no-fund', '--silent', tarball);
  }

  npm(...args: readonly string[]): void {
    execFileSync('npm', args, { cwd: this.folder, stdio: ['ignore', 'ignore', 'inherit'], env: APP_ENV });
  }

  /** Runs the code block behind `<!-- code:NAME -->` in docs/examples/README.md. */
  runBlock(name: string): void {
    const [, after = ''] = readText('docs/examples/README.md').split(`<!-- code:${name} -->\n`);
    const code = /^```sh\n(?<code>[^]*?)^```$/m.exec(after)?.groups?.['code'];
    if (code === undefined) throw new Error(`docs/examples/README.md has no commands called ${name}`);
    execFileSync('sh', ['-ec', code], { cwd: this.folder, stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** Starts a script of package.json that serves; resolves with the address that it prints. */
  async serve(script: string, ...args: readonly string[]): Promise<{ readonly origin: string; stop(): void }> {
    const server = spawn('npm', ['run', script, '--', ...args], { cwd: this.folder, env: APP_ENV, detached: true });
    const stop = (): void => {
      if (server.pid !== undefined && server.exitCode === null) process.kill(-server.pid); // npm and what it started
    };
    let output = '';
    const origin = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        output += String(chunk);
        const found = /http:\/\/(?:localhost|127\.0\.0\.1):\d+/.exec(output.replaceAll('\u001B[1m', '').replaceAll('\u001B[22m', ''));
        if (found !== null) resolve(found[0]);
      };
      server.stdout.on('data', read);
      server.stderr.on('data', read);
      server.once('exit', () => reject(new Error(`npm run ${script} ended:\n${output}`)));
    });
    return { origin, stop };
  }

  addModel(bytes: Uint8Array, folder = '.'): void {
    writeFileSync(join(this.folder, folder, MODEL_PATH), bytes);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Without vitest's own NODE_ENV, under which apps are built for tests, and without colours around addresses. */
const APP_ENV = Object.fromEntries([
  ...Object.entries(process.env).filter(([name]) => name !== 'NODE_ENV' && !name.startsWith('VITEST')),
  ['NEXT_TELEMETRY_DISABLED', '1'],
  ['NO_COLOR', '1'],
]);
