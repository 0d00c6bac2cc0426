// classes/: each of 4 lanes has one class, and they are summed in order. With lanes/many only.

fn sum_of_classes(at: u32, stride: u32) -> vec4<f32> {
  var sum = vec4<f32>();
  for (var i = 0u; i < 4u; i++) {
    sum += exchange[at + i * stride];
  }
  return sum;
}

// The sums of weights of all tokens.
fn sum_of_lanes(lane: u32, own_vector: u32, sums: vec4<f32>) -> vec4<f32> {
  workgroupBarrier();
  if (own_vector < 4u) {
    exchange[lane / VECTOR_LANES * 4u + own_vector] = sums;
  }
  workgroupBarrier();
  return (sum_of_classes(0u, 4u) + sum_of_classes(1u, 4u)) + (sum_of_classes(2u, 4u) + sum_of_classes(3u, 4u));
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
  workgroupBarrier();
  for (var h = 0u; h < HEADS; h++) {
    exchange[h * LANES + lane] = outputs[(r * HEADS + h) * VECTORS + j];
  }
  workgroupBarrier();
  for (var i = lane; i < heads * VECTOR_LANES; i += LANES) {
    let head = i / VECTOR_LANES;
    let place = i % VECTOR_LANES;
    if (place + j * VECTOR_LANES < HEAD_SIZE / 4u) {
      let sum = sum_of_classes(head * LANES + place, VECTOR_LANES);
      write_output(at + head * head_stride + place + j * VECTOR_LANES, sum, is_lone, sums[head]);
    }
  }
}
