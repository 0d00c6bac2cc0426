// element/: 4 neighbouring quantised weights, which are in one word. With the file of their format.

fn quad_of(word_at: u32, k: u32, lane: u32, scale_at: u32, component: u32) -> vec4<f32> {
  let word = weights[word_at][component];
  return vec4(
    element(word, k, lane, scale_at, component),
    element(word, k + 1u, lane, scale_at, component),
    element(word, k + 2u, lane, scale_at, component),
    element(word, k + 3u, lane, scale_at, component),
  );
}
