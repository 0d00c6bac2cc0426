// epilogue/: y is the logits of the samples.
// logits  [sample][OUTPUTS / 4] of 4

@group(0) @binding(4) var<storage, read> squares: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> logits: array<vec4<f32>>;

fn finish(token: u32, output: u32, value: vec4<f32>, place: u32) {
  if (token < counts.rows && output < OUTPUTS) {
    logits[(token * OUTPUTS + output) / 4u] = value;
  }
}

fn conclude(first_token: u32, first_unit: u32, local: u32) {}
