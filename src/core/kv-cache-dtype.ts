/** The element types of a KV cache: f32, half floats, or 8-bit integers with an f32 scale for each vector. */
export const KV_CACHE_DTYPES = ['f32', 'f16', 'int8'] as const;

/** vLLM's `kv_cache_dtype`. */
export type KvCacheDtype = (typeof KV_CACHE_DTYPES)[number];
