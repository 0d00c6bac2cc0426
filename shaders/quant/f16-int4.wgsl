// quant/: INT4 for products in f16, of words packed in bytes (see quant/dp4a-int4.wgsl). A weight is computed as (q - 8) *
// scale + (min + 8 * scale), so that sums stay small.
//
// No conversion: 0x6400 is 1024 in f16, and the nibble its lowest bits.

const WORD_K = 8u;

// operand_i: of each output of a lane, two k of a word: 0 and 2, 1 and 3, 4 and 6, 5 and 7.
fn operand_0(word: vec4<u32>) -> Operand {
  return pairs_of(word);
}

fn operand_1(word: vec4<u32>) -> Operand {
  return pairs_of(word >> vec4(8u));
}

fn operand_2(word: vec4<u32>) -> Operand {
  return pairs_of(word >> vec4(4u));
}

fn operand_3(word: vec4<u32>) -> Operand {
  return pairs_of(word >> vec4(12u));
}

fn pairs_of(word: vec4<u32>) -> Operand {
  let bits = (word & vec4(0x000f000fu)) | vec4(0x64006400u);
  return halves(bits, 1032.0h);
}

const ZERO = 8.0; // the q that counts as 0

fn minimum_of(scale: vec4<f32>, minimum: vec4<f32>) -> vec4<f32> {
  return multiply_add4(vec4(ZERO), scale, minimum);
}
