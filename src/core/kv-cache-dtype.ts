/** The element types of a KV cache: f32, half floats, or 8-bit integers with an f32 scale for each vector. */
export const KV_CACHE_DTYPES = ['f32', 'f16', 'int8'] as const;

/** vLLM's `kv_cache_dtype`. */
export type KvCacheDtype = (typeof KV_CACHE_DTYPES)[number];

/**
 * The type for a setting. `auto`, which is also meant where there is none, is f16 on a GPU, which then reads half the bytes, and
 * f32 on a software adapter.
 */
export function kvCacheDtypeOf(setting: KvCacheDtype | 'auto' | undefined, isSoftware: boolean): KvCacheDtype {
  if (setting !== undefined && setting !== 'auto') return setting;
  return isSoftware ? 'f32' : 'f16';
}
