// kv-write/: keys and values as they are.
// keys    [block][kv head][HEAD_SIZE][BLOCK_SIZE]: transposed, see attention.wgsl
// values  [block][kv head][BLOCK_SIZE][HEAD_SIZE]

@group(0) @binding(4) var<storage, read_write> keys: array<f32>;
@group(0) @binding(5) var<storage, read_write> values: array<f32>;

fn put(vector: CacheVector, element: u32, value: f32) {
  if (vector.is_value) {
    values[(vector.head * BLOCK_SIZE + vector.place) * HEAD_SIZE + element] = value;
  } else {
    keys[(vector.head * HEAD_SIZE + element) * BLOCK_SIZE + vector.place] = value;
  }
}

fn seal(vector: CacheVector, lane: u32) {}

fn put_four(vector: CacheVector, element: u32, value: vec4<f32>) {
  put(vector, element, value.x);
  put(vector, element + 1u, value.y);
  put(vector, element + 2u, value.z);
  put(vector, element + 3u, value.w);
}
