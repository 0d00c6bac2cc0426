// scales/: INT4's scale and min as two f16 in a word: the least to read, for adapters that wait for memory.
// scales  [tile][k / 32][lane] vec4

struct ScaleAndMin {
  scale: vec4<f32>,
  minimum: vec4<f32>,
}

// Of the 4 outputs of a lane.
fn scale_and_min(at: u32) -> ScaleAndMin {
  let words = scales[at];
  let a = unpack2x16float(words.x);
  let b = unpack2x16float(words.y);
  let c = unpack2x16float(words.z);
  let d = unpack2x16float(words.w);
  return ScaleAndMin(vec4(a.x, b.x, c.x, d.x), vec4(a.y, b.y, c.y, d.y));
}
