// epilogue/: SwiGLU's gate (common/silu). A lane has an output
// of the gate and the matching one of up: the matrix is all gates, then all ups.
// y  [token][OUTPUTS / 8] of 4

@group(0) @binding(4) var<storage, read> squares: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

fn finish(token: u32, output: u32, norm: f32, gate: vec4<f32>, up: vec4<f32>) {
  if (token < counts.rows && output < OUTPUTS / 2u) {
    y[(token * (OUTPUTS / 2u) + output) / 4u] = gated(norm * gate, norm * up);
  }
}

fn conclude(first_token: u32, first_unit: u32, local: u32) {}
