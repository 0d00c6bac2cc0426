// kv-read/: keys and values as they are. A quad's lane takes every 4th element of a key.
// keys    [block][kv head][HEAD_SIZE][BLOCK_SIZE / 4] of 4 tokens
// values  [block][kv head][BLOCK_SIZE][HEAD_SIZE / 4] of 4 elements
//
// `head` is block * NUM_KV_HEADS + kv head, `token` an index in the block.

@group(0) @binding(1) var<storage, read> keys: array<vec4<f32>, KEYS>;
@group(0) @binding(2) var<storage, read> values: array<vec4<f32>, VALUES>;

// The factor of the b-th of a step's keys.
const KEY_UNITS = vec4(1.0);

struct Keys {
  b0: vec4<f32>,
  b1: vec4<f32>,
  b2: vec4<f32>,
  b3: vec4<f32>,
}

fn element_of(step: u32, b: u32, quad_lane: u32) -> u32 {
  return 16u * step + 4u * b + quad_lane;
}

fn key_at(head: u32, token: u32, quad_lane: u32) -> u32 {
  return (head * HEAD_SIZE + quad_lane) * (BLOCK_SIZE / 4u) + token / 4u;
}

// 4 elements of 4 neighbouring tokens' keys; past the head's end, any element of the head.
fn load_keys(at: u32, step: u32, quad_lane: u32) -> Keys {
  return Keys(
    keys[at + min(16u * step, HEAD_SIZE - 4u) * (BLOCK_SIZE / 4u)],
    keys[at + min(16u * step + 4u, HEAD_SIZE - 4u) * (BLOCK_SIZE / 4u)],
    keys[at + min(16u * step + 8u, HEAD_SIZE - 4u) * (BLOCK_SIZE / 4u)],
    keys[at + min(16u * step + 12u, HEAD_SIZE - 4u) * (BLOCK_SIZE / 4u)],
  );
}

#for b in 4
fn key_#b(raw: Keys) -> vec4<f32> {
  return raw.b#b;
}
#end

fn key_scale(head: u32, token: u32) -> f32 {
  return 1.0;
}

alias ValueAt = u32;

fn value_at(head: u32, token: u32) -> ValueAt {
  return (head * BLOCK_SIZE + token) * (HEAD_SIZE / 4u);
}

// 4 elements of a token's value.
fn load_value(at: ValueAt, vector: u32) -> vec4<f32> {
  return values[at + vector];
}
