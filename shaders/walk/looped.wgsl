// walk/: a group of 32 k word by word. For many tokens a lane: unrolled, it takes more registers than there are, and long
// to compile.

fn group_sums(first_word: u32, x_at: u32) -> Part {
  var part = Part();
  for (var k = 0u; k < 32u; k += WORD_K) {
    add_word(&part, weights[first_word + (k / WORD_K) * LANES], x_at + k);
  }
  return part;
}
