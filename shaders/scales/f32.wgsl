// scales/: INT4's scale and min as f32, the same numbers wider: for adapters that convert f16 slowly (SwiftShader: a fifth
// of a decode step).
// scales  [tile][k / 32][lane] of two vec4: scales, mins

struct ScaleAndMin {
  scale: vec4<f32>,
  minimum: vec4<f32>,
}

// Of the 4 outputs of a lane.
fn scale_and_min(at: u32) -> ScaleAndMin {
  return ScaleAndMin(bitcast<vec4<f32>>(scales[2u * at]), bitcast<vec4<f32>>(scales[2u * at + 1u]));
}
