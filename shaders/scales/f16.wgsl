// scales/: INT4's scale and min as two f16 in a word: the fewest bytes, for adapters bound by memory.
// scales  [tile][k / 32][lane] vec4

// Of the 4 outputs of a lane.
fn group_scale(at: u32) -> vec4<f32> {
  let words = scales[at];
  return vec4(
    unpack2x16float(words.x).x,
    unpack2x16float(words.y).x,
    unpack2x16float(words.z).x,
    unpack2x16float(words.w).x,
  );
}

fn group_minimum(at: u32) -> vec4<f32> {
  let words = scales[at];
  return vec4(
    unpack2x16float(words.x).y,
    unpack2x16float(words.y).y,
    unpack2x16float(words.z).y,
    unpack2x16float(words.w).y,
  );
}
