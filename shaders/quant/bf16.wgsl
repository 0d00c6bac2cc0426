// quant/: bfloat16, the upper half of an f32; a word holds 2 neighbouring k, the first in its lower half.

const WORD_K = 2u;

// weight_0_i: of each output of a lane, the i-th k of two words. Its x is in common/own-x.
fn weight_0_0(first: vec4<i32>, second: vec4<i32>) -> vec4<f32> {
  return lower(first);
}

fn weight_0_1(first: vec4<i32>, second: vec4<i32>) -> vec4<f32> {
  return upper(first);
}

fn weight_0_2(first: vec4<i32>, second: vec4<i32>) -> vec4<f32> {
  return lower(second);
}

fn weight_0_3(first: vec4<i32>, second: vec4<i32>) -> vec4<f32> {
  return upper(second);
}

fn lower(word: vec4<i32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(word << vec4(16u));
}

fn upper(word: vec4<i32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(word & vec4(-0x10000)); // mutation: upper-of-word
}
