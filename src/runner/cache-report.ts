import type { LogFrame } from '../core/frames.ts';
import type { KvCacheDtype } from '../core/kv-cache-dtype.ts';
import type { CutReason } from '../core/load-settings.ts';
import type { FittedCache } from './kv-cache.ts';
import { AUTO_TOKENS, type CachePlan, count, mib, sizeOf } from './kv-cache-plan.ts';

type Fitted = Pick<FittedCache<unknown>, 'plan' | 'numBlocks' | 'cut'>;

/** A model's context and KV cache, for the log and for `client.model`. */
export interface CacheReport {
  /** See `ModelInfo`. */
  readonly contextCut: CutReason | undefined;
  readonly kvCacheCut: CutReason | undefined;
  readonly level: LogFrame['level'];
  readonly message: string;
}

/**
 * Reports reductions of the cache or context, and their reasons. It is a warning where less was granted than requested,
 * and where a sequence has fewer tokens than the model's context and 8,192, unless `maxModelLen` or a software adapter
 * is the reason.
 */
export function reportCache(fitted: Fitted): CacheReport {
  const { plan, numBlocks, cut } = fitted;
  const { maxModelLen } = sizeOf(plan, numBlocks);
  const kvCacheCut = cut?.reason ?? plan.cut;
  const contextCut = contextCutOf(plan, maxModelLen, kvCacheCut);
  const isLess = !plan.isAuto && cut !== undefined;
  const isShort = maxModelLen < Math.min(plan.contextLength, AUTO_TOKENS);
  const isChosen = contextCut === 'max_model_len' || contextCut === 'software_adapter';
  const advice = contextCut === undefined || contextCut === 'max_model_len' ? undefined : adviceOn(contextCut, plan);
  const message = [`${contextClause(plan, maxModelLen)}${cacheClause(fitted)}.`, ...(advice === undefined ? [] : [advice])];
  return { contextCut, kvCacheCut, level: isLess || (isShort && !isChosen) ? 'warn' : 'info', message: message.join(' ') };
}

function contextCutOf(plan: CachePlan, maxModelLen: number, kvCacheCut: CutReason | undefined): CutReason | undefined {
  if (maxModelLen === plan.contextLength) return undefined;
  if (plan.isMaxModelLenFixed) return 'max_model_len';
  if (maxModelLen === plan.maxModelLen && plan.lengthCut !== undefined) return plan.lengthCut.reason;
  return kvCacheCut ?? (plan.isAuto ? 'kv_cache_auto' : 'kv_cache_bytes');
}

function contextClause(plan: CachePlan, maxModelLen: number): string {
  const { contextLength, isMaxModelLenFixed, lengthCut } = plan;
  if (maxModelLen === contextLength) return `The context is the model's own, ${count(contextLength)} tokens; `;
  const short = `The context is ${count(maxModelLen)} of the model's ${count(contextLength)} tokens`;
  if (isMaxModelLenFixed) return `${short}, as maxModelLen says; `;
  return maxModelLen === plan.maxModelLen && lengthCut !== undefined ? `${short}, since ${lengthCut.why}; ` : `${short}: `;
}

function cacheClause({ plan, numBlocks, cut }: Fitted): string {
  const { blockSize } = sizeOf(plan, numBlocks);
  const asked = cut === undefined ? '' : ` of ${mib(plan.numBlocks * plan.blockBytes)}`;
  const size = `${mib(numBlocks * plan.blockBytes)}${asked} in ${plan.dtype}`;
  return `the KV cache has ${size}, ${count(numBlocks * blockSize)} tokens for all tabs together (${cut?.why ?? plan.why})`;
}

const LEVERS: Readonly<Record<CutReason, readonly string[]>> = {
  max_model_len: [],
  kv_cache_bytes: ['raise kvCacheBytes'],
  kv_cache_auto: ['raise kvCacheBytes'],
  gpu_memory_share: ['raise kvCacheBytes or gpuMemoryBytes'],
  software_adapter: ['raise kvCacheBytes'],
  gpu_memory: ['raise gpuMemoryBytes if the GPU has more', 'use a smaller model'],
  buffer_size: [],
  gpu_refused: ['close other programs and pages that use the GPU', 'use a smaller model'],
};

const SMALLER_DTYPES: Readonly<Record<KvCacheDtype, readonly string[]>> = {
  f32: ["set kvCacheDtype: 'f16' or 'int8'"],
  f16: ["set kvCacheDtype: 'int8'"],
  int8: [],
};

/** Advice on how to get a longer context. */
function adviceOn(reason: CutReason, { dtype, lengthCut }: CachePlan): string {
  const dtypes = lengthCut === undefined ? SMALLER_DTYPES[dtype] : []; // not affected by the cache's element type
  const levers = [...LEVERS[reason], ...dtypes, 'set maxModelLen to the tokens you need'];
  const list = new Intl.ListFormat('en', { type: 'disjunction' }).format(levers);
  return `${list.charAt(0).toUpperCase()}${list.slice(1)}.`;
}
