import { TabserveError } from './errors.ts';
import { KV_CACHE_DTYPES, type KvCacheDtype } from './kv-cache-dtype.ts';
import { NUMERICS, type Numerics } from './numerics.ts';
import { type Tuning, TUNINGS } from './tuning.ts';

/** `true`: up to 64 MiB, over all models. */
export type PersistPrefixCache = boolean | { readonly maxBytes: number };

/**
 * How a model is loaded. Tabs share a loaded model: the settings of the tab that loads it first hold, and the log of a later
 * tab says which of its settings differ.
 */
export interface LoadSettings {
  /**
   * Bytes of GPU memory for the KV cache, which the requests of all tabs share. `auto` holds four sequences of 8,192 tokens,
   * or of the model's context or `maxModelLen` where that is less, and more if they are short. It takes a quarter of
   * `gpuMemoryBytes` at most, and 256 MiB on a software adapter, but always holds one sequence of 4,096 tokens. The cache is
   * smaller where the GPU has less memory left beside the weights and other models. The log and `client.model`
   * (`maxModelLen`, `contextCut`, `kvCacheBytes`, `kvCacheCut`) say what was cut and why; docs/memory.md has a table of
   * models. @default auto
   */
  readonly kvCacheBytes?: number | 'auto' | undefined;
  /**
   * Bytes of GPU memory that all loaded models may take together, this one included. A model that does not fit alone is
   * refused with `out_of_memory` before it is downloaded. Idle models are unloaded for it where it does not fit beside
   * them. @default the memory that the browser reports (`navigator.deviceMemory`), 16 GiB where it reports 8 or nothing
   */
  readonly gpuMemoryBytes?: number | undefined;
  /**
   * The type of the KV cache's elements: `f16` holds twice the tokens of `f32`, `int8` nearly four times as many; both change
   * the logits slightly (see shaders/README.md). `auto` is f16 on a GPU and f32 on a software adapter. @default auto
   */
  readonly kvCacheDtype?: KvCacheDtype | 'auto' | undefined;
  /**
   * The number type of products of weights and activations: `dp4a` rounds activations to 8 bits, `f16` to half floats;
   * both change the logits slightly (see shaders/README.md). `invalid_request` where the GPU does not support it.
   * @default f32
   */
  readonly numerics?: Numerics | undefined;
  /**
   * Tokens that a sequence may have, prompt and answer; at most the model's own context. It is never lowered: where the KV
   * cache cannot hold it, loading fails with `invalid_request` or `out_of_memory`. @default the model's own context, within
   * the KV cache
   */
  readonly maxModelLen?: number | undefined;
  /**
   * Keeps the KV of prompts that are repeated in the browser's storage (OPFS), and restores it after a reload where reading
   * is faster than computing. The token ids of prompts and answers are then on disk, which is their text; never those of
   * requests with a `cache_salt`. `true` is up to 64 MiB, over all models. Each client decides for its own requests: a prefix
   * is kept only for requests of clients that allow it. The place and its size are the first tab's choice. `false` deletes
   * everything that was kept for the origin, of all models and tabs, also while the model is loaded; later requests of
   * tabs with `true` may be kept again. @default nothing of this client's is kept, and nothing is deleted
   */
  readonly persistPrefixCache?: PersistPrefixCache | undefined;
  /**
   * Whether kernels are fitted to this adapter by trials of their variants, while there is no request; no answer depends on
   * it. `auto` tries kernels not known from an earlier load, within 2 s of GPU time, and none on a software adapter; `off`
   * runs no trials and looks up no earlier ones; `force` tries all kernels anew, however long it takes. See
   * `metrics().tuning`. @default auto
   */
  readonly tuning?: Tuning | undefined;
  /**
   * Milliseconds after which a model leaves the GPU: without a request, while all its tabs are hidden. Its next request
   * loads it again. `Infinity` keeps it. @default 600,000 (ten minutes)
   */
  readonly keepAliveMs?: number | undefined;
  /**
   * A chat template in place of the file's, or for a file without one: Jinja source, of 65,536 characters at most.
   * @default the file's
   */
  readonly chatTemplate?: string | undefined;
}

/**
 * Why a model has a shorter context than its own, or a smaller KV cache than was wanted.
 *
 * - `max_model_len`: `maxModelLen` asks for no more
 * - `kv_cache_bytes`: `kvCacheBytes` asks for no more
 * - `kv_cache_auto`: `kvCacheBytes` is `auto`, which takes four sequences of 8,192 tokens and no more
 * - `gpu_memory_share`: `auto` takes a quarter of `gpuMemoryBytes` and no more
 * - `software_adapter`: `auto` takes 256 MiB of a software adapter and no more
 * - `gpu_memory`: `gpuMemoryBytes` has no more beside the weights and other models
 * - `buffer_size`: the GPU binds no larger buffer
 * - `gpu_refused`: the GPU refused more
 */
export type CutReason =
  | 'max_model_len'
  | 'kv_cache_bytes'
  | 'kv_cache_auto'
  | 'gpu_memory_share'
  | 'software_adapter'
  | 'gpu_memory'
  | 'buffer_size'
  | 'gpu_refused';

/** The settings that a load has granted. */
export interface GrantedSettings {
  readonly kvCacheDtype: KvCacheDtype;
  readonly numerics: Numerics;
  /** Bytes that the GPU granted to the KV cache, which the sequences of all tabs share. */
  readonly kvCacheBytes: number;
  /** Why `maxModelLen` is less than `contextLength`; undefined where it is not. */
  readonly contextCut?: CutReason | undefined;
  /** Why the KV cache has fewer bytes than requested, or, with `auto`, than four sequences take; undefined where it has them. */
  readonly kvCacheCut?: CutReason | undefined;
}

/** The granted settings alone, of an object that has them. */
export function grantedOf({ kvCacheDtype, numerics, kvCacheBytes, contextCut, kvCacheCut }: GrantedSettings): GrantedSettings {
  return { kvCacheDtype, numerics, kvCacheBytes, contextCut, kvCacheCut };
}

/** The values that a setting may have. */
interface Rule {
  readonly allows: (value: unknown) => boolean;
  /** In words. */
  readonly allowed: string;
}

const BYTES: Rule = { allows: isPositive, allowed: 'a number of bytes' };

const RULES: Readonly<Record<keyof LoadSettings, Rule>> = {
  kvCacheBytes: { allows: (value) => value === 'auto' || isPositive(value), allowed: 'a number of bytes or "auto"' },
  gpuMemoryBytes: BYTES,
  kvCacheDtype: oneOf(['auto', ...KV_CACHE_DTYPES]),
  numerics: oneOf(NUMERICS),
  maxModelLen: { allows: (value) => Number.isInteger(value) && isPositive(value), allowed: 'a number of tokens' },
  persistPrefixCache: {
    allows: (value) => typeof value === 'boolean' || isPositive((value as { maxBytes?: unknown } | null)?.maxBytes),
    allowed: 'true, false or { maxBytes }, with a number of bytes',
  },
  tuning: oneOf(TUNINGS),
  keepAliveMs: { allows: (value) => typeof value === 'number' && value >= 0, allowed: 'a number of milliseconds' },
  chatTemplate: {
    allows: (value) => typeof value === 'string' && value.trim() !== '',
    allowed: 'the Jinja source of a chat template, which is not blank',
  },
};

/** The settings alone, of an object that has them; nothing that is undefined. */
export function settingsOf(options: LoadSettings): LoadSettings {
  const isGiven = (name: string): boolean => options[name as keyof LoadSettings] !== undefined;
  return Object.fromEntries(Object.keys(RULES).filter(isGiven).map((name) => [name, options[name as keyof LoadSettings]]));
}

/**
 * Refuses settings that are invalid on any machine. Callers without types may pass anything.
 *
 * @throws TabserveError `invalid_request`; `param` names the setting
 */
export function checkLoadSettings(settings: { readonly [Name in keyof LoadSettings]?: unknown }): void {
  for (const [param, { allows, allowed }] of Object.entries(RULES) as [keyof LoadSettings, Rule][]) {
    const value = settings[param];
    if (value === undefined || allows(value)) continue;
    throw new TabserveError('invalid_request', `${param} is ${inWords(value)}; give ${allowed}.`, { param });
  }
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && value > 0 && value < Infinity;
}

function oneOf(values: readonly string[]): Rule {
  return { allows: (value) => values.some((one) => one === value), allowed: `one of ${values.join(', ')}` };
}

/** For messages. An object is not shown: it may be circular. */
function inWords(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return value === null || ['number', 'boolean'].includes(typeof value) ? String(value) : `of type ${typeof value}`;
}
