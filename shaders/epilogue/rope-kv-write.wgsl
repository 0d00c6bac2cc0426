// epilogue/: y is queries, keys and values. Adds their biases (BIASED), rotates queries and keys (rotary position embedding),
// and writes keys and values to the paged KV cache. Su et al., RoFormer, 2021. Pairs are neighbours (2i, 2i + 1), so a lane
// has both elements.
//
// With common/heads, and kv-write/ where a lane can write its 4 elements independently: f32 and f16.
// rows     [row]: y is the position, z the slot in the cache (block * BLOCK_SIZE + index in the block)
// rotation [position][ROPE_DIMENSIONS / 2]: cosine, sine
// queries  see common/heads
// bias     of [queries, keys, values], in vectors of 4; a uniform, because all 8 storage buffers are used

override NUM_HEADS: u32;
override NUM_KV_HEADS: u32;
override HEAD_SIZE: u32; // a multiple of 4
override ROPE_DIMENSIONS: u32;
override BLOCK_SIZE: u32;
override OUTPUT_OFFSET: u32; // the start of y in [queries, keys, values]

@group(0) @binding(6) var<storage, read> squares: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> rows: array<vec4<u32>, ROWS>;
@group(0) @binding(8) var<storage, read> rotation: array<vec2<f32>>;
@group(0) @binding(9) var<storage, read_write> queries: array<f32>;
#if BIASED
@group(0) @binding(10) var<uniform> bias: array<vec4<f32>, BIASES>;
#end

fn rotated(pair: vec2<f32>, position: u32, element: u32) -> vec2<f32> {
  if (element >= ROPE_DIMENSIONS) {
    return pair;
  }
  return turned(pair, rotation[(position * ROPE_DIMENSIONS + element) / 2u]);
}

fn finish(token: u32, output: u32, norm: f32, total: vec4<f32>, place: u32) {
  if (token >= counts.rows || output >= OUTPUTS) {
    return;
  }
  let head = (OUTPUT_OFFSET + output) / HEAD_SIZE;
  let element = (OUTPUT_OFFSET + output) % HEAD_SIZE;
  let row = rows[token];
  let vector = cache_vector_of(row.z, head);
#if BIASED
  var result = multiply_add4(vec4(norm), total, bias[(OUTPUT_OFFSET + output) / 4u]); // mutation: bias
#else
  var result = norm * total;
#end
  if (!vector.is_value) {
    result = vec4(rotated(result.xy, row.y, element), rotated(result.zw, row.y, element + 2u));
  }
  if (head < NUM_HEADS) {
    let at = query_at(token, head, element);
    queries[at] = result.x;
    queries[at + 4u] = result.y;
    queries[at + 8u] = result.z;
    queries[at + 12u] = result.w;
    return;
  }
  put_four(vector, element, result);
}

fn conclude(first_token: u32, first_unit: u32, local: u32) {}
