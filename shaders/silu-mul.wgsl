// SwiGLU's gate: y[r][i] = silu(gate[r][i]) * up[r][i], silu(x) = x / (1 + exp(-x)). Shazeer, GLU Variants, 2020.
//
// gate_up [row][gate SIZE / 4, up SIZE / 4] of 4 elements
// y       [row][SIZE / 4] of 4 elements

override SIZE: u32; // a multiple of 4

struct Counts {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> gate_up: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> counts: Counts;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  let row = id.y;
  if (i >= SIZE / 4u || row >= counts.rows) {
    return;
  }
  let gate = gate_up[row * (SIZE / 2u) + i];
  let up = gate_up[row * (SIZE / 2u) + SIZE / 4u + i];
  y[row * (SIZE / 4u) + i] = gated(gate, up);
}
