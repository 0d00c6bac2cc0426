// quant/: half floats; a word holds 2 neighbouring k, the first in its lower half. Needs no shader-f16.

const WORD_K = 2u;

// weight_0_i: of each output of a lane, the i-th k of two words. Its x is in common/own-x.
fn weight_0_0(first: vec4<i32>, second: vec4<i32>) -> vec4<f32> {
  return lower(bitcast<vec4<u32>>(first));
}

fn weight_0_1(first: vec4<i32>, second: vec4<i32>) -> vec4<f32> {
  return upper(bitcast<vec4<u32>>(first));
}

fn weight_0_2(first: vec4<i32>, second: vec4<i32>) -> vec4<f32> {
  return lower(bitcast<vec4<u32>>(second));
}

fn weight_0_3(first: vec4<i32>, second: vec4<i32>) -> vec4<f32> {
  return upper(bitcast<vec4<u32>>(second));
}

fn lower(word: vec4<u32>) -> vec4<f32> {
  return vec4(
    unpack2x16float(word.x).x,
    unpack2x16float(word.y).x,
    unpack2x16float(word.z).x,
    unpack2x16float(word.w).x,
  );
}

fn upper(word: vec4<u32>) -> vec4<f32> {
  return vec4(
    unpack2x16float(word.x).y,
    unpack2x16float(word.y).y,
    unpack2x16float(word.z).y,
    unpack2x16float(word.w).y,
  );
}
