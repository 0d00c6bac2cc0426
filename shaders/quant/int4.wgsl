// quant/: INT4. A weight is q * scale + min with q in 0..15; a word holds 8 neighbouring k, the lowest in the lowest
// bits, and its top nibble is stored with the sign bit flipped.
//
// Nibbles are not shifted but masked, so nibble i reads as q * 16^i, and x is scaled by 16^-i to match (powers of two:
// exact). The top nibble reads as (q - 8) * 16^7, hence the 8 * 16^7.

const WORD_K = 8u;

// weight_h_i: of each output of a lane, the i-th k of the h-th quad of a word; x_h_i: its x, scaled to match.
fn weight_0_0(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xf));
}

fn weight_0_1(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xf0));
}

fn weight_0_2(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xf00));
}

fn weight_0_3(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xf000));
}

fn weight_1_0(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xf0000));
}

fn weight_1_1(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xf00000));
}

fn weight_1_2(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xf000000));
}

fn weight_1_3(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(-0x10000000)) + 0x1p31; // mutation: top-nibble-bias
}

fn x_0_0(x: f32) -> f32 {
  return x;
}

fn x_0_1(x: f32) -> f32 {
  return x * 0x1p-4;
}

fn x_0_2(x: f32) -> f32 {
  return x * 0x1p-8;
}

fn x_0_3(x: f32) -> f32 {
  return x * 0x1p-12;
}

fn x_1_0(x: f32) -> f32 {
  return x * 0x1p-16;
}

fn x_1_1(x: f32) -> f32 {
  return x * 0x1p-20; // mutation: weight-place-value
}

fn x_1_2(x: f32) -> f32 {
  return x * 0x1p-24;
}

fn x_1_3(x: f32) -> f32 {
  return x * 0x1p-28;
}

fn minimum_of(scale: vec4<f32>, minimum: vec4<f32>) -> vec4<f32> {
  return minimum;
}
