// element/: f32, a word each; 4 neighbours are in the lane's order.

const WORD_K = 1u;

fn quad_of(word_at: u32, k: u32, lane: u32, scale_at: u32, component: u32) -> vec4<f32> {
  var quad = vec4<f32>();
  for (var i = 0u; i < 4u; i++) {
    quad[i] = bitcast<f32>(weights[word_at + (i ^ (lane & 3u)) * LANES][component]);
  }
  return quad;
}
