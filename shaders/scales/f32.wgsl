// scales/: INT4's scale and min as f32, without rounding, for adapters that convert f16 slowly (SwiftShader: a fifth of a
// decode step).
// scales  [tile][k / 32][lane] of two vec4: scales, mins

// Of the 4 outputs of a lane.
fn group_scale(at: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(scales[2u * at]);
}

fn group_minimum(at: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(scales[2u * at + 1u]);
}
