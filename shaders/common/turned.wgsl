// A pair of elements, rotated (rotary position embedding). Su et al., RoFormer, 2021.
// turn: cosine, sine

fn turned(pair: vec2<f32>, turn: vec2<f32>) -> vec2<f32> {
  return vec2(multiply_add(pair.x, turn.x, -(pair.y * turn.y)), multiply_add(pair.x, turn.y, pair.y * turn.x));
}
