// element/: 4 neighbouring floats of 16 bits, which are in two words, in the lane's order. With the file of their format.

const WORD_K = 2u;

fn quad_of(word_at: u32, k: u32, lane: u32, scale_at: u32, component: u32) -> vec4<f32> {
  let quad = vec4(pair_of(weights[word_at][component]), pair_of(weights[word_at + LANES][component]));
  let paired = select(quad, quad.yxwz, (lane & 1u) != 0u);
  return select(paired, paired.zwxy, (lane & 2u) != 0u);
}
