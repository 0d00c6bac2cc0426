// Token embedding: hidden[t][k] = table[token of row t][k], from a table packed as matmul's weights are. It also writes the
// inputs of the first layer's RMSNorm, as epilogue/residual does.
//
// Slots: element/ (the format of a weight word), scales/ (the format of a group's scale; floats have none).
// rows      [row]: x is the token id, or 0x80000000 + slot for the token last sampled in that slot.
// gain      [K / 4] of 4
// hidden    [row][K / 4] of 4
// weighted  [row][K / 4] of 4: hidden times gain
// squares   [row][4 * SQUARES]: sums of squares of 32 neighbouring elements each

override LANES: u32; // of the packed table
override K: u32; // a multiple of 32
override SQUARES: u32;
// The tokens of the table's rows. Rows of other tokens belong to another dispatch.
override FIRST: u32;
override END: u32;
override VOCAB: u32;

struct Counts {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> last_tokens: array<u32>;
@group(0) @binding(4) var<storage, read> gain: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> hidden: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> weighted: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> squares: array<f32>;
@group(0) @binding(8) var<uniform> counts: Counts;

const SIZE = 32u; // lanes of a workgroup, each with 4 elements

var<workgroup> lane_squares: array<f32, SIZE>;

fn token_of(row: u32) -> u32 {
  var token = rows[row].x;
  if (token >= 0x80000000u) {
    token = last_tokens[token - 0x80000000u];
  }
  return min(token, VOCAB - 1u); // no token was sampled where logits are NaN
}

// 4 neighbouring elements.
fn elements(token: u32, k: u32) -> vec4<f32> {
  let tile = token / (4u * LANES);
  let lane = (token / 4u) % LANES;
  let word_at = (tile * (K / WORD_K) + k / WORD_K) * LANES + lane;
  let scale_at = (tile * (K / 32u) + k / 32u) * LANES + lane;
  return quad_of(word_at, k, lane, scale_at, token % 4u);
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.y;
  let at = workgroup.x * SIZE + local;
  var value = vec4<f32>();
  let token = token_of(row);
  let is_own = 4u * at < K && row < counts.rows && token >= FIRST && token < END;
  if (is_own) {
    value = elements(token - FIRST, 4u * at);
    hidden[row * (K / 4u) + at] = value;
    weighted[row * (K / 4u) + at] = value * gain[at];
  }
  lane_squares[local] = square_sum(value);
  workgroupBarrier();
  if (local % 8u == 0u && is_own) {
    var sum = 0.0;
    for (var i = 0u; i < 8u; i++) {
      sum += lane_squares[local + i];
    }
    squares[row * 4u * SQUARES + at / 8u] = sum;
  }
}
