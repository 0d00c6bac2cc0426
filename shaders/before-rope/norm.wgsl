// before-rope/: RMSNorm of each head of queries and keys. Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.
// gain  [2][HEAD_SIZE]: of queries, of keys
//
// Squares are added in fours, then the fours in order, whatever the number of lanes.

override EPSILON: f32;

@group(0) @binding(7) var<storage, read> gain: array<f32>;

var<workgroup> squares: array<f32, HEAD_SIZE / 4u>;
var<private> inverse_rms: f32;

fn prepare(at: u32, head: u32, lane: u32) {
  for (var i = lane; i < HEAD_SIZE / 4u; i += LANES) {
    let first = at + 4u * i;
    let four = vec4(qkv[first], qkv[first + 1u], qkv[first + 2u], qkv[first + 3u]);
    squares[i] = square_sum(four);
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < HEAD_SIZE / 4u; i++) {
    sum += squares[i];
  }
  inverse_rms = 1.0 / sqrt(sum / f32(HEAD_SIZE) + EPSILON);
}

fn prepared(at: u32, head: u32, element: u32) -> f32 {
  let value = qkv[at + element];
  if (head >= NUM_HEADS + NUM_KV_HEADS) {
    return value;
  }
  let of_keys = select(0u, HEAD_SIZE, head >= NUM_HEADS); // mutation: key-gain
  return value * inverse_rms * gain[of_keys + element];
}
