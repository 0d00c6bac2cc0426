// x_0_i: the x of the i-th k of a quad, for weights that need no scaled x: see quant/.

fn x_0_0(x: f32) -> f32 {
  return x;
}

fn x_0_1(x: f32) -> f32 {
  return x;
}

fn x_0_2(x: f32) -> f32 {
  return x;
}

fn x_0_3(x: f32) -> f32 {
  return x;
}
