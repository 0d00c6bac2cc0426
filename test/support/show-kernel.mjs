// @ts-check
/**
 * Prints a kernel's WGSL as the GPU's compiler gets it: linked, with its directives expanded.
 *
 *     node test/support/show-kernel.mjs                                    all kernels, with their numbers of variants
 *     node test/support/show-kernel.mjs matmul quant/int4 dot/f32          the kernel's variants with all of these words
 *     node test/support/show-kernel.mjs matmul quant/int4 dot/f32 TOKENS=8 SUBGROUPS=true scales/f16
 *     node test/support/show-kernel.mjs 40                                 variant 40
 *
 * One variant is printed as text, several as a list.
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importTypeScript } from '../oracle/typescript.mjs';

/**
 * @typedef {import('./kernel-variants.ts').KernelVariant} KernelVariant
 * @typedef {import('../../src/gpu/link.ts').LinkedShader} LinkedShader
 */

/** The files a variant is linked from and the values of its template, as words without spaces.
 * @param {KernelVariant} variant
 * @returns {readonly string[]} */
function wordsOf({ modules }) {
  const values = Object.assign({}, ...modules.map((module) => module.values ?? {}));
  const files = modules.map(({ path }) => path.replace(/^shaders\/|\.wgsl$/g, '').replaceAll(' ', ','));
  return [...files, ...Object.entries(values).map(([key, value]) => `${key}=${value}`)];
}

/**
 * @param {readonly KernelVariant[]} variants
 * @param {(variant: KernelVariant) => LinkedShader} linked
 * @param {readonly string[]} wanted the words of the command line
 * @returns {string} the text to print
 */
export function showKernel(variants, linked, wanted) {
  const [first, ...rest] = wanted;
  if (first === undefined) {
    const names = [...new Set(variants.map(({ spec }) => spec.name))];
    return names.map((name) => `${name} (${variants.filter(({ spec }) => spec.name === name).length})`).join('\n');
  }
  const all = variants.map((variant, number) => ({ variant, number, name: variant.spec.name, words: wordsOf(variant) }));
  const isNumber = /^\d+$/.test(first);
  const found = all.filter(({ number, name, words }) => (isNumber ? number === Number(first) : name === first && rest.every((word) => words.includes(word))));
  const [only] = found;
  if (only === undefined) return `There is no such variant: ${wanted.join(' ')}`;
  if (found.length === 1) return `// ${[only.name, ...only.words].join(' ')}\n${annotated(linked(only.variant))}`;
  return found.map(({ number, name, words }) => [number, name, ...words].join(' ')).join('\n');
}

/** The text, with a comment where another file begins.
 * @param {LinkedShader} shader */
function annotated(shader) {
  let file = '';
  const lines = shader.code.split('\n').flatMap((line, index) => {
    const from = shader.locate(index + 1).replace(/:\d+$/, '');
    const isNew = from !== file;
    file = from;
    return isNew ? ['', `// from ${from}`, line] : [line];
  });
  return lines.join('\n');
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { kernelVariants } = await importTypeScript('test/support/kernel-variants.ts');
  const { link } = await importTypeScript('src/gpu/link.ts');
  process.stdout.on('error', () => {}); // `| head` reads no further
  process.stdout.write(`${showKernel(kernelVariants(), (/** @type {KernelVariant} */ { modules }) => link(modules), process.argv.slice(2))}\n`);
}
