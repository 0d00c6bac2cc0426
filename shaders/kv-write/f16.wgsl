// kv-write/: half floats, two neighbouring elements of one token in a word, the first in its lower half. Needs no
// shader-f16. Values beyond the largest half are clamped to it.
// keys    [block][kv head][HEAD_SIZE / 2][BLOCK_SIZE] words
// values  [block][kv head][BLOCK_SIZE][HEAD_SIZE / 2] words

@group(0) @binding(4) var<storage, read_write> keys: array<u32>;
@group(0) @binding(5) var<storage, read_write> values: array<u32>;

const LARGEST_HALF = 65504.0;

var<workgroup> elements: array<f32, HEAD_SIZE>;

fn put(vector: CacheVector, element: u32, value: f32) {
  elements[element] = value;
}

fn seal(vector: CacheVector, lane: u32) {
  workgroupBarrier();
  for (var i = lane; i < HEAD_SIZE / 2u; i += LANES) {
    put_pair(vector, i, vec2(elements[2u * i], elements[2u * i + 1u]));
  }
}

fn put_four(vector: CacheVector, element: u32, value: vec4<f32>) {
  put_pair(vector, element / 2u, value.xy);
  put_pair(vector, element / 2u + 1u, value.zw);
}

fn put_pair(vector: CacheVector, pair: u32, value: vec2<f32>) {
  // NaN stays NaN.
  let held = select(value, sign(value) * LARGEST_HALF, abs(value) > vec2(LARGEST_HALF));
  let word = pack2x16float(held); // mutation: pair-order
  if (vector.is_value) {
    values[(vector.head * BLOCK_SIZE + vector.place) * (HEAD_SIZE / 2u) + pair] = word;
  } else {
    keys[(vector.head * (HEAD_SIZE / 2u) + pair) * BLOCK_SIZE + vector.place] = word;
  }
}
