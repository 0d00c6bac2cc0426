// quant/: INT8. A weight is q * scale with q in -128..127; a word holds 4 neighbouring k, the lowest in the lowest
// byte. The three lower bytes are stored as q + 128, the top one as it is.
//
// Bytes are not shifted but masked, so byte i reads as q * 256^i, and x is scaled by 256^-i to match (powers of two:
// exact).

const WORD_K = 4u;

// weight_0_i: of each output of a lane, the i-th k of a word; x_0_i: its x, scaled to match.
fn weight_0_0(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xff)) - 0x1p7;
}

fn weight_0_1(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xff00)) - 0x1p15;
}

fn weight_0_2(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(0xff0000)) - 0x1p23;
}

fn weight_0_3(word: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(word & vec4(-0x1000000));
}

fn x_0_0(x: f32) -> f32 {
  return x;
}

fn x_0_1(x: f32) -> f32 {
  return x * 0x1p-8;
}

fn x_0_2(x: f32) -> f32 {
  return x * 0x1p-16;
}

fn x_0_3(x: f32) -> f32 {
  return x * 0x1p-24;
}
