import { KV_CACHE_DTYPES, type KvCacheDtype } from '../../src/core/kv-cache-dtype.ts';
import { NUMERICS } from '../../src/core/numerics.ts';
import { F16_PROBE } from '../../src/gpu/f16-probe.ts';
import type { Access, KernelSpec } from '../../src/gpu/kernel.ts';
import type { ShaderModule } from '../../src/gpu/link.ts';
import {
  arithmeticModules, fillModules, PROBE_ARITHMETIC, PROBE_FILL, PROBE_READ, PROBE_TICK, readModules, tickModules,
} from '../../src/gpu/probe-kernels.ts';
import { CHECK_COMPARE, CHECK_FILL, checkModules } from '../../src/gpu/output-check.ts';
import { QUAD_PROBE } from '../../src/gpu/quad-probe.ts';
import { ATTENTION_MERGE, mergeModules } from '../../src/kernels/attention-merge.ts';
import { ATTENTION, attentionModules } from '../../src/kernels/attention.ts';
import { elementModules, EMBED } from '../../src/kernels/embed.ts';
import { FILTER_BEGIN, FILTER_HISTOGRAM, FILTER_MAX, FILTER_PICK, filterModules } from '../../src/kernels/filter.ts';
import { LOGIT_BIAS } from '../../src/kernels/logit-bias.ts';
import { logitsModules, MATMUL_LOGITS } from '../../src/kernels/matmul-logits.ts';
import { MATMUL_RESIDUAL, residualModules } from '../../src/kernels/matmul-residual.ts';
import { MATMUL_BIAS_ROPE_KV_WRITE, MATMUL_ROPE_KV_WRITE, ropeKvWriteModules } from '../../src/kernels/matmul-rope-kv-write.ts';
import { MATMUL_SILU_MUL } from '../../src/kernels/matmul-silu-mul.ts';
import { MATMUL, MATMUL_NORMALISED } from '../../src/kernels/matmul-store.ts';
import { type Epilogue, type EpilogueText, matmulModules } from '../../src/kernels/matmul.ts';
import { PENALTIES, penaltiesModules } from '../../src/kernels/penalties.ts';
import { activationsOf, QUANTISE } from '../../src/kernels/quantise.ts';
import { BIAS_ROPE_KV_WRITE, NORM_ROPE_KV_WRITE, ROPE_KV_WRITE, ropeModules } from '../../src/kernels/rope-kv-write.ts';
import { SAMPLE_FINAL, SAMPLE_PARTIAL, sampleModules } from '../../src/kernels/sample.ts';
import { multiplyAdd, shader } from '../../src/kernels/shaders.ts';
import { SILU_MUL } from '../../src/kernels/silu-mul.ts';
import { defaultTilings } from '../../src/kernels/tiling.ts';

export type AnyKernelSpec = KernelSpec<Readonly<Record<string, Access>>, readonly string[]>;

/** One way to link a kernel. */
export interface KernelVariant {
  readonly spec: AnyKernelSpec;
  readonly modules: readonly ShaderModule[];
}

/** INT8 has no wide scales. */
const FORMATS = [
  { format: 'int4', wideScales: false },
  { format: 'int4', wideScales: true },
  { format: 'int8', wideScales: false },
] as const;
const FLOATS = (['f16', 'bf16', 'f32'] as const).map((format) => ({ format, wideScales: false, numerics: 'f32' }) as const);
const MATRICES = [...NUMERICS.flatMap((numerics) => FORMATS.map((format) => ({ ...format, numerics }))), ...FLOATS];
const MEASURES = ['count', 'mass'] as const;
const buffer = { size: 4096 } as GPUBuffer;

/** Attention with a cache of this type: of one row and of several, with and without subgroups, on one quad and on many. */
function attentions(kvCacheDtype: KvCacheDtype): KernelVariant[] {
  const shape = { numHeads: 9, numKvHeads: 3, headSize: 64, blockSize: 16, maxBlocks: 8 };
  const buffers = { queries: buffer, keys: buffer, values: buffer, partials: buffer };
  return [
    { classLanes: 1, vectorLanes: 4, isFlat: true, subgroups: true, rows: 4 } as const,
    { classLanes: 1, vectorLanes: 8, isFlat: false, subgroups: true, rows: 1 } as const,
    { classLanes: 4, vectorLanes: 16, isFlat: false, subgroups: false, rows: 2 } as const,
  ].map(({ rows, subgroups, ...lanes }) => {
    const modules = attentionModules({ ...shape, ...buffers, kvCacheDtype, subgroups }, { ...lanes, tileRows: rows }, rows);
    return { spec: ATTENTION, modules };
  });
}

/** Every kernel, linked in every way there is. */
export function kernelVariants(): KernelVariant[] {
  const plain = [F16_PROBE, LOGIT_BIAS, QUAD_PROBE];
  const embeds = MATRICES.map((matrix) => [shader('embed'), ...elementModules(matrix)]);
  const activations = (['dp4a', 'f16'] as const).map((numerics) => shader(`activations/${activationsOf(numerics)}`));
  const caches = KV_CACHE_DTYPES.flatMap((dtype) => [
    ...attentions(dtype),
    { spec: ROPE_KV_WRITE, modules: ropeModules('none', dtype) },
    { spec: BIAS_ROPE_KV_WRITE, modules: ropeModules('bias', dtype) },
    { spec: NORM_ROPE_KV_WRITE, modules: ropeModules('norm', dtype) },
  ]);
  const ofGpu = [
    ...caches,
    { spec: ATTENTION_MERGE, modules: mergeModules() },
    ...plain.map((spec) => ({ spec, modules: [shader(spec.name)] })),
    { spec: SILU_MUL, modules: [shader('silu-mul'), shader('common/silu')] },
    { spec: PENALTIES, modules: penaltiesModules() },
    { spec: FILTER_MAX, modules: filterModules('filter-max') },
    { spec: FILTER_BEGIN, modules: filterModules('filter-begin') },
    ...MEASURES.map((measure) => ({ spec: FILTER_HISTOGRAM, modules: filterModules('filter-histogram', measure) })),
    ...MEASURES.map((measure) => ({ spec: FILTER_PICK, modules: filterModules('filter-pick', measure) })),
    { spec: SAMPLE_PARTIAL, modules: sampleModules('sample-partial') },
    { spec: SAMPLE_FINAL, modules: sampleModules('sample-final') },
    ...activations.map((module) => ({ spec: QUANTISE, modules: [shader('quantise'), module] })),
    ...embeds.map((modules) => ({ spec: EMBED, modules })),
    { spec: CHECK_FILL, modules: checkModules.fill },
    { spec: CHECK_COMPARE, modules: checkModules.compare },
    { spec: PROBE_FILL, modules: fillModules(4096) },
    { spec: PROBE_READ, modules: readModules(4096) },
    { spec: PROBE_TICK, modules: tickModules() },
    ...(['f32', 'f16', 'int8'] as const).map((number) => ({ spec: PROBE_ARITHMETIC, modules: arithmeticModules(number) })),
  ];
  return [...ofGpu.map((variant) => withArithmetic(variant, false)), ...matmulVariants()];
}

/** With the multiply-add that a kind of adapter has in every kernel. */
function withArithmetic({ spec, modules }: KernelVariant, isSoftware: boolean): KernelVariant {
  return { spec, modules: [...modules, multiplyAdd({ isSoftware })] };
}

const EPILOGUES: readonly (EpilogueText & Pick<Epilogue, 'spec'>)[] = [
  { spec: MATMUL, modules: [shader('epilogue/store')] },
  { spec: MATMUL_RESIDUAL, modules: residualModules() },
  { spec: MATMUL_NORMALISED, modules: [shader('epilogue/store')], normalised: true },
  { spec: MATMUL_SILU_MUL, modules: [shader('epilogue/silu-mul'), shader('common/silu')], normalised: true, paired: true },
  { spec: MATMUL_ROPE_KV_WRITE, modules: ropeKvWriteModules(buffer, 'f32', undefined), normalised: true },
  { spec: MATMUL_BIAS_ROPE_KV_WRITE, modules: ropeKvWriteModules(buffer, 'f16', buffer), normalised: true },
  { spec: MATMUL_LOGITS, modules: logitsModules(buffer), normalised: true, sampled: true },
];

/** Every epilogue with every format and numerics, and the tilings of both kinds of adapter. */
function matmulVariants(): KernelVariant[] {
  return [...defaultProducts(), ...[1, 8].map(slicedProduct)];
}

/** A slice of k after the other, by one set of lanes: no default. */
function slicedProduct(sliceGroups: number): KernelVariant {
  const matrix = { format: 'int4', wideScales: false, numerics: 'f32', rows: 64, columns: 512, lanes: 16, sliceGroups, weights: buffer, scales: buffer } as const;
  const epilogue = { spec: MATMUL, modules: [shader('epilogue/store')] };
  const modules = matmulModules({ matrix, x: buffer, subgroups: false }, epilogue, { tokens: 1, tiles: 1, series: 1, set: 16, splits: 1 });
  return withArithmetic({ spec: MATMUL, modules }, false);
}

function defaultProducts(): KernelVariant[] {
  return EPILOGUES.flatMap((epilogue) =>
    MATRICES.flatMap((kind) =>
      [false, true].flatMap((subgroups) => {
        const shape = { ...kind, rows: 64, columns: 64, lanes: 16, sliceGroups: subgroups ? 2 : 1 };
        const args = { matrix: { ...shape, weights: buffer, scales: buffer }, x: buffer, subgroups };
        return defaultTilings({ isSoftware: subgroups, unrolled: subgroups, matrixTiles: 2, paired: epilogue.paired ?? false }).map((tiling) =>
          withArithmetic({ spec: epilogue.spec, modules: matmulModules(args, epilogue, tiling) }, subgroups),
        );
      }),
    ),
  );
}
