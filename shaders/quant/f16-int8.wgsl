// quant/: INT8 for products in f16, of words packed in bytes (see quant/dp4a-int8.wgsl).
//
// No conversion: 0x6400 is 1024 in f16, and q + 128 its lowest bits.

const WORD_K = 4u;

// operand_i: of each output of a lane, two k of a word: 0 and 2, 1 and 3.
fn operand_0(word: vec4<u32>) -> Operand {
  return pairs_of(word);
}

fn operand_1(word: vec4<u32>) -> Operand {
  return pairs_of(word >> vec4(8u));
}

fn pairs_of(word: vec4<u32>) -> Operand {
  let bits = (word & vec4(0x00ff00ffu)) ^ vec4(0x64806480u);
  return halves(bits, 1152.0h);
}
