// quant/: f32, a word each.

const WORD_K = 1u;

// weight_0_i: of each output of a lane, the i-th k of four words. Its x is in common/own-x.
fn weight_0_0(a: vec4<i32>, b: vec4<i32>, c: vec4<i32>, d: vec4<i32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(a);
}

fn weight_0_1(a: vec4<i32>, b: vec4<i32>, c: vec4<i32>, d: vec4<i32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(b);
}

fn weight_0_2(a: vec4<i32>, b: vec4<i32>, c: vec4<i32>, d: vec4<i32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(c);
}

fn weight_0_3(a: vec4<i32>, b: vec4<i32>, c: vec4<i32>, d: vec4<i32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(d);
}
