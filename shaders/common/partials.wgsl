// Where attention and attention-merge find a row's block table and partial results.
//
// rows     [row]: w is the row of the block tables, and 4096 times the place of the row's first split (src/kernels/step-inputs.ts)
// partials [split][head][HEAD_SIZE / 4 + 1] of 4, the splits of a row one after the other, of rows with several: the sum of
//          exp(score - max) * value, then (max, sum, -, -)

fn table_of(row: vec4<u32>) -> u32 {
  return row.w & 0xfffu;
}

// The partial results of a row's split, and of a head.
fn partial_at(row: vec4<u32>, split: u32, head: u32) -> u32 {
  return (((row.w >> 12u) + split) * NUM_HEADS + head) * (HEAD_SIZE / 4u + 1u); // mutation: partial-place
}
