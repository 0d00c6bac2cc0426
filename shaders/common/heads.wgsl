// The destinations of a row's queries, keys and values. Its heads are NUM_HEADS of queries, then NUM_KV_HEADS each of keys
// and values.
// queries  [row][kv head][group / 4, rounded up][HEAD_SIZE][4 heads]: as attention.wgsl reads them

fn query_at(row: u32, head: u32, element: u32) -> u32 {
  let group = NUM_HEADS / NUM_KV_HEADS;
  let four = (row * NUM_KV_HEADS + head / group) * ((group + 3u) / 4u) + (head % group) / 4u;
  return (four * HEAD_SIZE + element) * 4u + (head % group) % 4u;
}

// A key's or a value's vector of HEAD_SIZE elements in the cache.
struct CacheVector {
  head: u32, // block * NUM_KV_HEADS + kv head
  place: u32, // the token's index in its block
  is_value: bool,
}

fn cache_vector_of(slot: u32, head: u32) -> CacheVector {
  let kv_head = (head - NUM_HEADS) % NUM_KV_HEADS; // undefined for a query
  let is_value = head >= NUM_HEADS + NUM_KV_HEADS;
  return CacheVector((slot / BLOCK_SIZE) * NUM_KV_HEADS + kv_head, slot % BLOCK_SIZE, is_value);
}
