// kv-read/: INT8 with a scale for each vector, in the layout of kv-write/int8.wgsl. The layouts are those of f32 with 4
// elements in a word, so lanes read the same neighbours. A quad's lane takes every 4th word of a key.
// keys    [block][kv head][HEAD_SIZE / 4][BLOCK_SIZE / 4] of 4 tokens, then [BLOCK_SIZE / 4] scales of 4 tokens
// values  [block][kv head][BLOCK_SIZE][HEAD_SIZE / 4], then [BLOCK_SIZE] scales
//
// Bytes are not shifted but masked, so byte b reads as byte * 256^b, and its factor contains 256^-b; powers of two are
// exact. The lower three bytes are stored with a bias, because their sign bit is not an i32's.
//
// `head` is block * NUM_KV_HEADS + kv head, `token` an index in the block.

@group(0) @binding(1) var<storage, read> keys: array<vec4<i32>, KEYS>;
@group(0) @binding(2) var<storage, read> values: array<i32, VALUES * 4u>;

const BIASED = 0x808080;
const UNITS = vec4(1.0, 1.0 / 256.0, 1.0 / 65536.0, 1.0 / 16777216.0);

// The factor of the b-th of a step's keys.
const KEY_UNITS = UNITS;

alias Keys = vec4<i32>;

fn element_of(step: u32, b: u32, quad_lane: u32) -> u32 {
  return 16u * step + 4u * quad_lane + b;
}

fn key_at(head: u32, token: u32, quad_lane: u32) -> u32 {
  return head * (HEAD_SIZE / 4u + 1u) * (BLOCK_SIZE / 4u) + token / 4u;
}

// 4 elements of 4 neighbouring tokens' keys; past the head's end, any element of the head.
fn load_keys(at: u32, step: u32, quad_lane: u32) -> Keys {
  return keys[at + min(4u * step + quad_lane, HEAD_SIZE / 4u - 1u) * (BLOCK_SIZE / 4u)] ^ vec4(BIASED);
}

fn key_0(raw: Keys) -> vec4<f32> {
  return vec4<f32>(raw & vec4(0xff)) - 0x1p7;
}

fn key_1(raw: Keys) -> vec4<f32> {
  return vec4<f32>(raw & vec4(0xff00)) - 0x1p15;
}

fn key_2(raw: Keys) -> vec4<f32> {
  return vec4<f32>(raw & vec4(0xff0000)) - 0x1p23;
}

fn key_3(raw: Keys) -> vec4<f32> {
  return vec4<f32>(raw & vec4(-0x1000000));
}

fn key_scale(head: u32, token: u32) -> f32 {
  let scales = (head + 1u) * (HEAD_SIZE / 4u + 1u) - 1u;
  return bitcast<f32>(keys[scales * (BLOCK_SIZE / 4u) + token / 4u][token % 4u]);
}

// The position of a token's value, and the factors of its bytes.
struct ValueAt {
  at: u32,
  units: vec4<f32>,
}

fn value_at(head: u32, token: u32) -> ValueAt {
  let first = head * (HEAD_SIZE / 4u + 1u) * BLOCK_SIZE;
  let scale = bitcast<f32>(values[first + BLOCK_SIZE * (HEAD_SIZE / 4u) + token]);
  return ValueAt(first + token * (HEAD_SIZE / 4u), scale * UNITS);
}

// 4 elements of a token's value.
fn load_value(value: ValueAt, vector: u32) -> vec4<f32> {
  let bytes = vec4(values[value.at + vector] ^ BIASED) & vec4(0xff, 0xff00, 0xff0000, -0x1000000);
  return (vec4<f32>(bytes) - vec4(0x1p7, 0x1p15, 0x1p23, 0.0)) * value.units;
}
