// Rotary position embedding of queries and keys, and the write of keys and values to their place in the paged KV cache.
// Su et al., RoFormer, 2021. One lane a pair of elements of a head.
//
// qkv      [row][NUM_HEADS + 2 * NUM_KV_HEADS heads][HEAD_SIZE]
// queries  [row][kv head][group / 4, rounded up][HEAD_SIZE][4 heads]: as attention.wgsl reads them
// rows     [row]: y is the position, z the slot in the cache (block * BLOCK_SIZE + place in the block)
// rotation [position][ROPE_DIMENSIONS / 2]: cosine, sine
// keys     [block][kv head][HEAD_SIZE][BLOCK_SIZE]: transposed, see attention.wgsl
// values   [block][kv head][BLOCK_SIZE][HEAD_SIZE]

override NUM_HEADS: u32;
override NUM_KV_HEADS: u32;
override HEAD_SIZE: u32;
override ROPE_DIMENSIONS: u32;
override INTERLEAVED: bool; // pairs (2i, 2i + 1), else (i, i + ROPE_DIMENSIONS / 2)
override BLOCK_SIZE: u32;

struct Counts {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> rotation: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> queries: array<f32>;
@group(0) @binding(4) var<storage, read_write> keys: array<f32>;
@group(0) @binding(5) var<storage, read_write> values: array<f32>;
@group(0) @binding(6) var<uniform> counts: Counts;

// The elements of pair i. Those past ROPE_DIMENSIONS are paired with their neighbours and not rotated.
fn pair_of(i: u32) -> vec2<u32> {
  if (INTERLEAVED || i >= ROPE_DIMENSIONS / 2u) {
    return vec2(2u * i, 2u * i + 1u);
  }
  return vec2(i, i + ROPE_DIMENSIONS / 2u);
}

fn query_at(row: u32, head: u32, element: u32) -> u32 {
  let group = NUM_HEADS / NUM_KV_HEADS;
  let four = (row * NUM_KV_HEADS + head / group) * ((group + 3u) / 4u) + (head % group) / 4u;
  return (four * HEAD_SIZE + element) * 4u + (head % group) % 4u;
}

fn key_at(slot: u32, kv_head: u32, element: u32) -> u32 {
  let head = (slot / BLOCK_SIZE) * NUM_KV_HEADS + kv_head;
  return (head * HEAD_SIZE + element) * BLOCK_SIZE + slot % BLOCK_SIZE;
}

fn value_at(slot: u32, kv_head: u32, element: u32) -> u32 {
  let head = (slot / BLOCK_SIZE) * NUM_KV_HEADS + kv_head;
  return (head * BLOCK_SIZE + slot % BLOCK_SIZE) * HEAD_SIZE + element;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.y;
  let head = id.x / (HEAD_SIZE / 2u);
  if (row >= counts.rows || head >= NUM_HEADS + 2u * NUM_KV_HEADS) {
    return;
  }
  let i = id.x % (HEAD_SIZE / 2u);
  let pair = pair_of(i);
  let at = (row * (NUM_HEADS + 2u * NUM_KV_HEADS) + head) * HEAD_SIZE;
  var value = vec2(qkv[at + pair.x], qkv[at + pair.y]);
  let slot = rows[row].z;
  if (head >= NUM_HEADS + NUM_KV_HEADS) {
    let kv_head = head - NUM_HEADS - NUM_KV_HEADS;
    values[value_at(slot, kv_head, pair.x)] = value.x;
    values[value_at(slot, kv_head, pair.y)] = value.y;
    return;
  }
  if (i < ROPE_DIMENSIONS / 2u) {
    let turn = rotation[rows[row].y * (ROPE_DIMENSIONS / 2u) + i];
    value = vec2(value.x * turn.x - value.y * turn.y, value.x * turn.y + value.y * turn.x);
  }
  if (head >= NUM_HEADS) {
    keys[key_at(slot, head - NUM_HEADS, pair.x)] = value.x;
    keys[key_at(slot, head - NUM_HEADS, pair.y)] = value.y;
  } else {
    queries[query_at(row, head, pair.x)] = value.x;
    queries[query_at(row, head, pair.y)] = value.y;
  }
}
