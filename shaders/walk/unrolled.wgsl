// walk/: INT4's 4 words of a group at once, loaded before any is used. For one token a lane: the loads are the slow part.

fn group_sums(first_word: u32, x_at: u32) -> Part {
  var part = Part();
  let a = weights[first_word];
  let b = weights[first_word + LANES];
  let c = weights[first_word + 2u * LANES];
  let d = weights[first_word + 3u * LANES];
  add_word(&part, a, x_at);
  add_word(&part, b, x_at + WORD_K);
  add_word(&part, c, x_at + 2u * WORD_K);
  add_word(&part, d, x_at + 3u * WORD_K);
  return part;
}
