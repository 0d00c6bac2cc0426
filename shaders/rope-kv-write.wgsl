// Rotary position embedding of queries and keys, and the write of keys and values to the paged KV cache. Su et al.,
// RoFormer, 2021. One workgroup for each head of a row, one lane for each pair of its elements. Pairs are neighbours: the
// loader permutes rows where a file pairs differently.
//
// Slots: before-rope/ (the step before the rotation), kv-write/ (the cache's element type).
// qkv      [row][NUM_HEADS + 2 * NUM_KV_HEADS heads][HEAD_SIZE]
// queries  see common/heads
// rows     [row]: y is the position, z the slot in the cache (block * BLOCK_SIZE + index in the block)
// rotation [position][ROPE_DIMENSIONS / 2]: cosine, sine
// keys     see kv-write/
// values   see kv-write/

override NUM_HEADS: u32;
override NUM_KV_HEADS: u32;
override HEAD_SIZE: u32;
override ROPE_DIMENSIONS: u32;
override BLOCK_SIZE: u32;
override LANES: u32;

struct Counts {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> rotation: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> queries: array<f32>;
@group(0) @binding(6) var<uniform> counts: Counts;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = workgroup.x;
  let row = workgroup.y;
  if (row >= counts.rows) {
    return;
  }
  let at = (row * (NUM_HEADS + 2u * NUM_KV_HEADS) + head) * HEAD_SIZE;
  let cache_vector = cache_vector_of(rows[row].z, head);
  prepare(at, head, lane);
  for (var i = lane; i < HEAD_SIZE / 2u; i += LANES) {
    var value = vec2(prepared(at, head, 2u * i), prepared(at, head, 2u * i + 1u));
    if (i < ROPE_DIMENSIONS / 2u && !cache_vector.is_value) {
      value = turned(value, rotation[rows[row].y * (ROPE_DIMENSIONS / 2u) + i]);
    }
    if (head < NUM_HEADS) {
      queries[query_at(row, head, 2u * i)] = value.x;
      queries[query_at(row, head, 2u * i + 1u)] = value.y;
    } else {
      put(cache_vector, 2u * i, value.x);
      put(cache_vector, 2u * i + 1u, value.y);
    }
  }
  if (head >= NUM_HEADS) {
    seal(cache_vector, lane);
  }
}
