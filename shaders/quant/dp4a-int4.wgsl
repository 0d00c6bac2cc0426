// quant/: INT4 for products in bytes. A weight is q * scale + min with q in 0..15; a word holds 8 neighbouring k: the first
// four in the low nibbles of its bytes, the others in the high ones.

const WORD_K = 8u;

// operand_i: of each output of a lane, 4 neighbouring k of a word, the first in the lowest byte.
fn operand_0(word: vec4<u32>) -> Operand {
  return word & vec4(0x0f0f0f0fu);
}

fn operand_1(word: vec4<u32>) -> Operand {
  return (word >> vec4(4u)) & vec4(0x0f0f0f0fu);
}

fn minimum_of(scale: vec4<f32>, minimum: vec4<f32>) -> vec4<f32> {
  return minimum;
}
