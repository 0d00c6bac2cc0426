import { KV_CACHE_DTYPES, type KvCacheDtype } from '../../src/core/kv-cache-dtype.ts';
import type { Access, KernelSpec } from '../../src/gpu/kernel.ts';
import type { ShaderModule } from '../../src/gpu/link.ts';
import { QUAD_PROBE } from '../../src/gpu/quad-probe.ts';
import { ATTENTION, ATTENTION_MERGE, attentionModules } from '../../src/kernels/attention.ts';
import { EMBED } from '../../src/kernels/embed.ts';
import { FILTER_BEGIN, FILTER_HISTOGRAM, FILTER_MAX, FILTER_PICK, filterModules } from '../../src/kernels/filter.ts';
import { LOGIT_BIAS } from '../../src/kernels/logit-bias.ts';
import { MATMUL, matmulModules, scaleModules, TOKEN_TILES } from '../../src/kernels/matmul.ts';
import { PENALTIES, penaltiesModules } from '../../src/kernels/penalties.ts';
import { RMS_NORM } from '../../src/kernels/rms-norm.ts';
import { ROPE_KV_WRITE } from '../../src/kernels/rope-kv-write.ts';
import { SAMPLE_FINAL, SAMPLE_PARTIAL, sampleModules } from '../../src/kernels/sample.ts';
import { shader } from '../../src/kernels/shaders.ts';
import { SILU_MUL } from '../../src/kernels/silu-mul.ts';

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
const MEASURES = ['count', 'mass'] as const;
const buffer = { size: 4096 } as GPUBuffer;

/** Attention with a cache of this type: of one row and of several, with and without subgroups, on one quad and on many. */
function attentions(kvCacheDtype: KvCacheDtype): KernelVariant[] {
  const shape = { numHeads: 9, numKvHeads: 3, headSize: 64, blockSize: 16, maxBlocks: 8 };
  const buffers = { queries: buffer, keys: buffer, values: buffer, partials: buffer };
  return [
    { classLanes: 1, vectorLanes: 4, isFlat: true, subgroups: true, rows: 4 },
    { classLanes: 1, vectorLanes: 8, isFlat: false, subgroups: true, rows: 1 },
    { classLanes: 4, vectorLanes: 16, isFlat: false, subgroups: false, rows: 2 },
  ].map(({ rows, subgroups, classLanes, ...lanes }) => {
    const attentionLanes = { ...lanes, classLanes: classLanes === 1 ? (1 as const) : (4 as const), tileRows: rows };
    const modules = attentionModules({ ...shape, ...buffers, kvCacheDtype, subgroups, attentionLanes }, rows);
    return { spec: ATTENTION, modules };
  });
}

/** Every kernel, linked in every way there is. */
export function kernelVariants(): KernelVariant[] {
  const plain = [ATTENTION_MERGE, LOGIT_BIAS, QUAD_PROBE, RMS_NORM, SILU_MUL];
  const embeds = FORMATS.map((scales) => [shader('embed'), shader(`element/${scales.format}`), ...scaleModules(scales)]);
  const matmuls = FORMATS.flatMap((scales) => {
    const matrix = { ...scales, rows: 64, columns: 64, lanes: 16, weights: buffer, scales: buffer };
    return [false, true].flatMap((subgroups) =>
      TOKEN_TILES.map((tile) => matmulModules({ matrix, x: buffer, y: buffer, subgroups }, tile)),
    );
  });
  const caches = KV_CACHE_DTYPES.flatMap((dtype) => [
    ...attentions(dtype),
    { spec: ROPE_KV_WRITE, modules: [shader('rope-kv-write'), shader(`kv-write/${dtype}`)] },
  ]);
  return [
    ...caches,
    ...plain.map((spec) => ({ spec, modules: [shader(spec.name)] })),
    { spec: PENALTIES, modules: penaltiesModules() },
    { spec: FILTER_MAX, modules: filterModules('filter-max') },
    { spec: FILTER_BEGIN, modules: filterModules('filter-begin') },
    ...MEASURES.map((measure) => ({ spec: FILTER_HISTOGRAM, modules: filterModules('filter-histogram', measure) })),
    ...MEASURES.map((measure) => ({ spec: FILTER_PICK, modules: filterModules('filter-pick', measure) })),
    { spec: SAMPLE_PARTIAL, modules: sampleModules('sample-partial') },
    { spec: SAMPLE_FINAL, modules: sampleModules('sample-final') },
    ...embeds.map((modules) => ({ spec: EMBED, modules })),
    ...matmuls.map((modules) => ({ spec: MATMUL, modules })),
  ];
}
