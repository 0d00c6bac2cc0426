import { vi } from 'vitest';
import { OpBuilder } from '../../src/gpu/op.ts';
import type { Variant, VariantSetOptions } from '../../src/gpu/variant-set.ts';

/** A fault of a compiler, as an edit of a kernel's text. */
export interface Fault {
  readonly name: string;
  readonly path: string;
  readonly right: string;
  readonly wrong: string;
}

export const FAULTS: readonly Fault[] = [
  { name: 'drops the last group of k', path: 'shaders/matmul.wgsl', right: 'let groups = K / 32u;', wrong: 'let groups = K / 32u - 1u;' },
  {
    name: 'exits early', path: 'shaders/matmul.wgsl',
    right: 'let split = local / SET;', wrong: 'if (workgroup.x > 0u || workgroup.y > 0u) { return; } let split = local / SET;',
  },
  {
    name: 'drops the last group of tokens', path: 'shaders/attention.wgsl',
    right: 'let groups = (min(SPLIT, last.y + 1u - start) + 3u) / 4u;', wrong: 'let groups = max((min(SPLIT, last.y + 1u - start) + 3u) / 4u, 2u) - 1u;',
  },
  { name: 'exits early', path: 'shaders/attention.wgsl', right: 'if (start > last.y) {', wrong: 'if (start > 0u) {' },
];

/** A variant with a fault; undefined where it is of another kernel. */
function faulty<D>(variant: Variant<D>, { name, path, right, wrong }: Fault): Variant<D> | undefined {
  if (!variant.modules.some((module) => module.path === path)) return undefined;
  const modules = variant.modules.map((module) => {
    if (module.path !== path) return module;
    if (!module.text.includes(right)) throw new Error(`${name}: no such text in ${path}`);
    return { ...module, path: `${path}, which ${name}`, text: module.text.replace(right, wrong) };
  });
  return { ...variant, name, modules };
}

/** The kernels with these faults are variants of each set, beside one that is right. */
export function plant(faults: readonly Fault[]): void {
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its object
  const original = OpBuilder.prototype.variantSet;
  vi.spyOn(OpBuilder.prototype, 'variantSet').mockImplementation(function <D>(this: OpBuilder, options: VariantSetOptions<D>) {
    const { initial } = options;
    const planted = faults.map((fault) => faulty(initial, fault)).filter((variant) => variant !== undefined);
    const others = options.candidates().filter(({ name }) => name !== initial.name);
    return original.call(this, { ...options, candidates: () => [...planted, ...others.slice(0, 1)] }) as ReturnType<typeof original<D>>;
  });
}

/** The default of each of these kernels, in one width, has a fault. */
export function plantDefault(faults: readonly DefaultFault[]): void {
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its object
  const original = OpBuilder.prototype.variantSet;
  vi.spyOn(OpBuilder.prototype, 'variantSet').mockImplementation(function <D>(this: OpBuilder, options: VariantSetOptions<D>) {
    const fault = faults.find(({ kernel, width }) => kernel.test(options.name) && width === options.tokens);
    const wrong = fault && faulty(options.initial, fault);
    return original.call(this, { ...options, initial: wrong ?? options.initial }) as ReturnType<typeof original<D>>;
  });
}

/** A fault of one kernel's default in one width. */
export interface DefaultFault extends Fault {
  readonly kernel: RegExp;
  readonly width: number;
}

const GROUPS_OF_TOKENS = '(min(SPLIT, last.y + 1u - start) + 3u) / 4u';

/** Of a product of 8 tokens, and of attention over a chunk of 7 rows, which has a tile of 3. */
export const DEFAULT_FAULTS: readonly DefaultFault[] = [
  { name: 'drops the last group of k', path: 'shaders/matmul.wgsl', right: 'let groups = K / 32u;', wrong: 'let groups = K / 32u - 1u;', kernel: /^matmul-residual/, width: 8 },
  {
    name: 'drops tokens of a tile that is not full', path: 'shaders/attention.wgsl', kernel: /^attention-tiled/, width: 4,
    right: `let groups = ${GROUPS_OF_TOKENS};`, wrong: `let groups = ${GROUPS_OF_TOKENS} - select(0u, 1u, tile.y == 3u && last.y > 3u);`,
  },
];
