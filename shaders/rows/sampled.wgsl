// rows/: a token is a sample, and its row of x is the one that the sample is drawn from.
// samples  [sample]: see src/kernels/step-inputs.ts

@group(0) @binding(5) var<uniform> samples: array<array<vec4<u32>, 4>, SAMPLES>;

fn row_of(token: u32) -> u32 {
  return samples[min(token, SAMPLES - 1u)][0].x;
}
