// kv-read/: half floats, two in a word, in the layout of kv-write/f16.wgsl. The layouts are those of f32 with 2 elements
// in a word, so lanes read the same neighbours. A quad's lane takes every 4th word of a key.
// keys    [block][kv head][HEAD_SIZE / 2][BLOCK_SIZE / 4] words of 4 tokens
// values  [block][kv head][BLOCK_SIZE][HEAD_SIZE / 4] of 2 words, 4 elements
//
// `head` is block * NUM_KV_HEADS + kv head, `token` an index in the block.

@group(0) @binding(1) var<storage, read> keys: array<vec4<u32>, KEYS>;
@group(0) @binding(2) var<storage, read> values: array<vec2<u32>, VALUES * 2u>;

// The factor of the b-th of a step's keys.
const KEY_UNITS = vec4(1.0);

// 4 elements of 4 neighbouring tokens' keys: the b-th two are in words b / 2.
struct Keys {
  first: vec4<u32>,
  second: vec4<u32>,
}

fn element_of(step: u32, b: u32, quad_lane: u32) -> u32 {
  return 16u * step + 8u * (b / 2u) + 2u * quad_lane + b % 2u;
}

fn key_at(head: u32, token: u32, quad_lane: u32) -> u32 {
  return head * (HEAD_SIZE / 2u) * (BLOCK_SIZE / 4u) + token / 4u;
}

// Past the head's end, any element of the head.
fn load_keys(at: u32, step: u32, quad_lane: u32) -> Keys {
  let last = HEAD_SIZE / 2u - 1u;
  return Keys(
    keys[at + min(8u * step + quad_lane, last) * (BLOCK_SIZE / 4u)],
    keys[at + min(8u * step + 4u + quad_lane, last) * (BLOCK_SIZE / 4u)],
  );
}

fn lower_halves(words: vec4<u32>) -> vec4<f32> {
  return vec4(
    unpack2x16float(words.x).x,
    unpack2x16float(words.y).x,
    unpack2x16float(words.z).x,
    unpack2x16float(words.w).x,
  );
}

fn key_0(raw: Keys) -> vec4<f32> {
  return lower_halves(raw.first);
}

fn key_1(raw: Keys) -> vec4<f32> {
  return lower_halves(raw.first >> vec4(16u));
}

fn key_2(raw: Keys) -> vec4<f32> {
  return lower_halves(raw.second);
}

fn key_3(raw: Keys) -> vec4<f32> {
  return lower_halves(raw.second >> vec4(16u));
}

fn key_scale(head: u32, token: u32) -> f32 {
  return 1.0;
}

alias ValueAt = u32;

fn value_at(head: u32, token: u32) -> ValueAt {
  return (head * BLOCK_SIZE + token) * (HEAD_SIZE / 4u);
}

// 4 elements of a token's value.
fn load_value(at: ValueAt, vector: u32) -> vec4<f32> {
  let words = values[at + vector];
  return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}
