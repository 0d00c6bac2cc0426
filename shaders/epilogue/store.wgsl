// epilogue/: y is stored; x may be normalised.
// y  [token][OUTPUT_STRIDE], written from OUTPUT_OFFSET on

override OUTPUT_OFFSET: u32; // a multiple of 4
override OUTPUT_STRIDE: u32; // a multiple of 4

#if NORMALISED
@group(0) @binding(4) var<storage, read> squares: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
#end

fn finish(token: u32, output: u32, norm: f32, total: vec4<f32>, place: u32) {
  if (token < counts.rows && output < OUTPUTS) {
    y[(token * OUTPUT_STRIDE + OUTPUT_OFFSET + output) / 4u] = norm * total;
  }
}

fn conclude(first_token: u32, first_unit: u32, local: u32) {}
