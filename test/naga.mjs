// @ts-check
/**
 * `npm run test:naga`: whether naga, Firefox's shader compiler, takes every kernel that needs no subgroups. It needs the command
 * `naga` (`cargo install naga-cli`).
 *
 * Kernels in f16 may be refused: then the probe must be refused as well, by which such a browser offers no f16 (src/gpu/f16-probe.ts).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importTypeScript } from './oracle/typescript.mjs';

/** @typedef {import('./support/kernel-variants.ts').KernelVariant} KernelVariant */

process.exitCode = await main();

/** @returns {Promise<number>} the exit code */
async function main() {
  const { status, stdout } = spawnSync('naga', ['--version'], { encoding: 'utf8' });
  if (status !== 0) {
    console.error('There is no naga here: cargo install naga-cli');
    return 1;
  }
  const { kernelVariants } = await importTypeScript('test/support/kernel-variants.ts');
  const { link } = await importTypeScript('src/gpu/link.ts');
  /** @type {Map<string, string>} Names by the text. */
  const titles = new Map(kernelVariants().map((/** @type {KernelVariant} */ { spec, modules }) => [link(modules).code, titleOf(spec, modules)]));
  const texts = [...titles].filter(([code]) => !code.includes('enable subgroups'));
  const [halves, others] = [texts.filter(([code]) => code.includes('enable f16')), texts.filter(([code]) => !code.includes('enable f16'))];
  const folder = mkdtempSync(join(tmpdir(), 'tabserve-naga-'));
  try {
    const refused = others.filter(([code, title]) => !isTaken(folder, code, title));
    const refusedHalves = halves.filter(([code]) => !isTaken(folder, code));
    const isProbeRefused = refusedHalves.some(([, title]) => title.startsWith('f16-probe'));
    console.log(`naga ${stdout.trim()}: ${others.length - refused.length} of ${others.length} baseline kernels are valid.`);
    console.log(`In f16 ${halves.length - refusedHalves.length} of ${halves.length}; the probe is ${isProbeRefused ? 'refused: f16 is not offered' : 'valid'}.`);
    return refused.length > 0 || (refusedHalves.length > 0 && !isProbeRefused) ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {KernelVariant['spec']} spec
 * @param {KernelVariant['modules']} modules */
function titleOf({ name }, modules) {
  return `${name}: ${modules.map(({ path }) => path).join(' ')}`;
}

/** @param {string} folder
 * @param {string} code
 * @param {string} [title] to be printed with what naga says, where it refuses it */
function isTaken(folder, code, title) {
  const file = join(folder, 'kernel.wgsl');
  writeFileSync(file, code);
  const { status, stderr } = spawnSync('naga', [file], { encoding: 'utf8' });
  if (status !== 0 && title !== undefined) console.error(`${title}\n${stderr}`);
  return status === 0;
}
