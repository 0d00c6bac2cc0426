// SwiGLU's gate: silu(gate) * up, silu(x) = x / (1 + exp(-x)). Shazeer, GLU Variants, 2020.

fn gated(gate: vec4<f32>, up: vec4<f32>) -> vec4<f32> {
  return gate / (1.0 + exp(-gate)) * up; // mutation: gate
}
