// Token embedding: y[t][k] = table[token of row t][k], from a table packed as matmul's weights are.
//
// Slots: element/ (what a weight word holds), scales/ (what INT4's scales look like).
// rows   [row]: x is the token id, or 0x80000000 + slot for the token last sampled for that slot.
// y      [row][K]

override LANES: u32; // of the packed table
override K: u32;

struct Counts {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> last_tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> counts: Counts;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let k = id.x;
  let row = id.y;
  if (k >= K || row >= counts.rows) {
    return;
  }
  var token = rows[row].x;
  if (token >= 0x80000000u) {
    token = last_tokens[token - 0x80000000u];
  }
  let tile = token / (4u * LANES);
  let lane = (token / 4u) % LANES;
  let word = weights[(tile * (K / WORD_K) + k / WORD_K) * LANES + lane][token % 4u];
  let scale_at = (tile * (K / 32u) + k / 32u) * LANES + lane;
  y[row * K + k] = element(word, k, lane, scale_at, token % 4u);
}
