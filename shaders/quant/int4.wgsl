// quant/: INT4. A weight is q * scale + min with q in 0..15; a word holds 8 neighbouring k, the lowest in the lowest
// bits, and its top nibble is stored with the sign bit flipped.
//
// No shifts: a nibble is masked where it stands, so it reads as q * 16^i, and x is scaled by 16^-i to match (powers of
// two: exact). The top nibble reads as (q - 8) * 16^7, hence the 8 * 16^7.

const WORD_K = 8u;

fn add_word(part: ptr<function, Part>, word: vec4<i32>, x_at: u32) {
  let low = Quad(
    vec4<f32>(word & vec4(0xf)),
    vec4<f32>(word & vec4(0xf0)),
    vec4<f32>(word & vec4(0xf00)),
    vec4<f32>(word & vec4(0xf000)),
  );
  add_quad(part, low, x_at, vec4(1.0, 0x1p-4, 0x1p-8, 0x1p-12));
  let high = Quad(
    vec4<f32>(word & vec4(0xf0000)),
    vec4<f32>(word & vec4(0xf00000)),
    vec4<f32>(word & vec4(0xf000000)),
    vec4<f32>(word & vec4(-0x10000000)) + 0x1p31,
  );
  add_quad(part, high, x_at + 4u, vec4(0x1p-16, 0x1p-20, 0x1p-24, 0x1p-28));
}

fn finish_group(part: Part, scale_at: u32) -> Tile {
  let group = scale_and_min(scale_at);
  return scaled_with_min(part, group.scale, group.minimum);
}
