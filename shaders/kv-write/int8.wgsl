// kv-write/: INT8 with an f32 scale for each vector (a key or a value of one token and KV head): the largest magnitude
// is 127 steps of the scale, and every element the nearest step, ties to even. A vector near 0 has scale 0.
// Each word has 4 neighbouring elements of one token, the first in the lowest byte.
//
// keys    [block][kv head][HEAD_SIZE / 4][BLOCK_SIZE], then [BLOCK_SIZE] scales
// values  [block][kv head][BLOCK_SIZE][HEAD_SIZE / 4], then [BLOCK_SIZE] scales

@group(0) @binding(4) var<storage, read_write> keys: array<u32>;
@group(0) @binding(5) var<storage, read_write> values: array<u32>;

const SMALLEST = 0x04000000u; // 2^-119: the 127th part of a smaller number is subnormal

var<workgroup> elements: array<f32, HEAD_SIZE>;
var<workgroup> lane_highest: array<u32, LANES>;
// Magnitudes are compared as bits, which have the same order and keep a NaN: it makes the scale a NaN, and so the
// results of rows that attend to it.
var<private> highest: u32;

fn put(vector: CacheVector, element: u32, value: f32) {
  elements[element] = value;
  highest = max(highest, bitcast<u32>(value) & 0x7fffffffu);
}

fn seal(vector: CacheVector, lane: u32) {
  lane_highest[lane] = highest;
  workgroupBarrier();
  var bits = 0u;
  for (var i = 0u; i < LANES; i++) {
    bits = max(bits, lane_highest[i]);
  }
  let scale = select(bitcast<f32>(bits) / 127.0, 0.0, bits < SMALLEST);
  let vectors = HEAD_SIZE / 4u;
  let first = vector.head * (vectors + 1u) * BLOCK_SIZE;
  for (var i = lane; i < vectors; i += LANES) {
    let word = quantised(4u * i, scale);
    if (vector.is_value) {
      values[first + vector.place * vectors + i] = word;
    } else {
      keys[first + i * BLOCK_SIZE + vector.place] = word;
    }
  }
  if (lane == 0u) {
    let scale_at = first + vectors * BLOCK_SIZE + vector.place;
    if (vector.is_value) {
      values[scale_at] = bitcast<u32>(scale);
    } else {
      keys[scale_at] = bitcast<u32>(scale);
    }
  }
}

// 4 neighbouring elements as a word.
fn quantised(at: u32, scale: f32) -> u32 {
  if (scale == 0.0) {
    return 0u;
  }
  let four = vec4(elements[at], elements[at + 1u], elements[at + 2u], elements[at + 3u]);
  let steps = vec4<i32>(clamp(round(four / scale), vec4(-127.0), vec4(127.0)));
  let bytes = (bitcast<vec4<u32>>(steps) & vec4(0xffu)) << vec4(0u, 8u, 16u, 24u);
  return bytes.x | bytes.y | bytes.z | bytes.w;
}
