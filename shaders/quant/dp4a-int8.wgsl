// quant/: INT8 for products in bytes. A weight is q * scale with q in -128..127; a word holds 4 neighbouring k, the first in
// the lowest byte.

const WORD_K = 4u;

fn operand_0(word: vec4<u32>) -> Operand {
  return word;
}
