// kv-read/: keys and values as they are.
// keys    [block][kv head][HEAD_SIZE][BLOCK_SIZE / 4] of 4 tokens
// values  [block][kv head][BLOCK_SIZE][HEAD_SIZE / 4] of 4 elements

@group(0) @binding(1) var<storage, read> keys: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> values: array<vec4<f32>>;

// `head` is block * NUM_KV_HEADS + kv head; the keys are those of 4 neighbouring tokens of the block.
fn dot_keys(head: u32, four: u32, query: u32) -> Dots {
  var dots = Dots();
  var key = head * HEAD_SIZE * (BLOCK_SIZE / 4u) + four;
  for (var i = 0u; i < HEAD_SIZE; i++) {
    add_product(&dots, queries[query + i], keys[key]);
    key += BLOCK_SIZE / 4u;
  }
  return dots;
}

// 4 elements of one token of the block.
fn value_of(head: u32, token: u32, vector: u32) -> vec4<f32> {
  return values[(head * BLOCK_SIZE + token) * (HEAD_SIZE / 4u) + vector];
}
