import { KV_CACHE_DTYPES } from '../../src/core/kv-cache-dtype.ts';
import type { Access, KernelSpec } from '../../src/gpu/kernel.ts';
import type { ShaderModule } from '../../src/gpu/link.ts';
import {
  arithmeticModules, fillModules, PROBE_ARITHMETIC, PROBE_FILL, PROBE_READ, PROBE_TICK, readModules, tickModules,
} from '../../src/gpu/probe-kernels.ts';
import { QUAD_PROBE } from '../../src/gpu/quad-probe.ts';
import { ATTENTION, ATTENTION_MERGE } from '../../src/kernels/attention.ts';
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
    { spec: ATTENTION, modules: [shader('attention'), shader(`kv-read/${dtype}`)] },
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
    { spec: PROBE_FILL, modules: fillModules(4096) },
    { spec: PROBE_READ, modules: readModules(4096) },
    { spec: PROBE_TICK, modules: tickModules() },
    ...(['f32', 'f16', 'int8'] as const).map((number) => ({ spec: PROBE_ARITHMETIC, modules: arithmeticModules(number) })),
    ...matmuls.map((modules) => ({ spec: MATMUL, modules })),
  ];
}
