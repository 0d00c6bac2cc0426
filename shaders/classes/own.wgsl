// classes/: every lane has summed all classes itself.

// The sums of weights of all tokens.
fn sum_of_lanes(lane: u32, own_vector: u32, sums: vec4<f32>) -> vec4<f32> {
  return quad_sum(lane, sums);
}

// Writes the lanes' j-th vectors of a row's first heads.
fn write_outputs(
  lane: u32,
  own_vector: u32,
  r: u32,
  j: u32,
  heads: u32,
  at: u32,
  head_stride: u32,
  is_lone: bool,
  sums: vec4<f32>,
) {
  let vector = own_vector + j * VECTOR_LANES;
  for (var h = 0u; h < heads; h++) {
    if (vector < HEAD_SIZE / 4u) {
      write_output(at + h * head_stride + vector, outputs[(r * HEADS + h) * VECTORS + j], is_lone, sums[h]);
    }
  }
}
