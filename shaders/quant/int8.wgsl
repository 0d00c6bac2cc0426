// quant/: INT8. A weight is q * scale with q in -128..127; a word holds 4 neighbouring k, the lowest in the lowest
// byte. The three lower bytes are stored as q + 128, the top one as it is.
//
// No shifts: a byte is masked where it stands, so it reads as q * 256^i, and x is scaled by 256^-i to match (powers of
// two: exact).

const WORD_K = 4u;

fn add_word(part: ptr<function, Part>, word: vec4<i32>, x_at: u32) {
  let quad = Quad(
    vec4<f32>(word & vec4(0xff)) - 0x1p7,
    vec4<f32>(word & vec4(0xff00)) - 0x1p15,
    vec4<f32>(word & vec4(0xff0000)) - 0x1p23,
    vec4<f32>(word & vec4(-0x1000000)),
  );
  add_quad(part, quad, x_at, vec4(1.0, 0x1p-8, 0x1p-16, 0x1p-24));
}

// scales  [tile][k / 32][lane] vec4 of f32
fn finish_group(part: Part, scale_at: u32) -> Tile {
  return scaled(part, bitcast<vec4<f32>>(scales[scale_at]));
}
