// kv-read/: INT8 with a scale for each vector, as kv-write/int8.wgsl leaves it. The layouts are those of f32 with 4
// elements to a word, so lanes read the same neighbours; a key's scale is applied after its sum.
// keys    [block][kv head][HEAD_SIZE / 4][BLOCK_SIZE / 4] of 4 tokens, then [BLOCK_SIZE / 4] scales of 4 tokens
// values  [block][kv head][BLOCK_SIZE][HEAD_SIZE / 4], then [BLOCK_SIZE] scales

@group(0) @binding(1) var<storage, read> keys: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read> values: array<i32>;

// `head` is block * NUM_KV_HEADS + kv head; the keys are those of 4 neighbouring tokens of the block.
fn dot_keys(head: u32, four: u32, query: u32) -> Dots {
  var dots = Dots();
  var key = head * (HEAD_SIZE / 4u + 1u) * (BLOCK_SIZE / 4u) + four;
  for (var i = 0u; i < HEAD_SIZE; i += 4u) {
    let words = keys[key];
    add_product(&dots, queries[query + i], vec4<f32>((words << vec4(24u)) >> vec4(24u)));
    add_product(&dots, queries[query + i + 1u], vec4<f32>((words << vec4(16u)) >> vec4(24u)));
    add_product(&dots, queries[query + i + 2u], vec4<f32>((words << vec4(8u)) >> vec4(24u)));
    add_product(&dots, queries[query + i + 3u], vec4<f32>(words >> vec4(24u)));
    key += BLOCK_SIZE / 4u;
  }
  let scales = bitcast<vec4<f32>>(keys[key]);
  return Dots(dots.a * scales.x, dots.b * scales.y, dots.c * scales.z, dots.d * scales.w);
}

// 4 elements of one token of the block.
fn value_of(head: u32, token: u32, vector: u32) -> vec4<f32> {
  let first = head * (HEAD_SIZE / 4u + 1u) * BLOCK_SIZE;
  let word = values[first + token * (HEAD_SIZE / 4u) + vector];
  let scale = bitcast<f32>(values[first + BLOCK_SIZE * (HEAD_SIZE / 4u) + token]);
  return scale * vec4<f32>((vec4(word) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
}
