// scales/: INT8's scale, an f32.
// scales  [tile][k / 32][lane] vec4

// Of the 4 outputs of a lane.
fn group_scale(at: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(scales[at]);
}
