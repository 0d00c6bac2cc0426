// quads/: the lanes of a quad swap values. Right for any subgroup size, as long as lanes 4i to 4i + 3 of a workgroup form a
// quad (see matmul.wgsl).
enable subgroups;

fn scatter_sum(four: vec4<f32>, is_odd: bool, is_upper: bool) -> f32 {
  let two = select(four.xz, four.yw, is_odd) + quadSwapX(select(four.yw, four.xz, is_odd));
  return select(two.x, two.y, is_upper) + quadSwapY(select(two.y, two.x, is_upper));
}

// For each head, the sum over the quad's lanes of component lane % 4: (0 + 1) + (2 + 3).
fn scatter_sums(
  lane: u32,
#for h in HEADS
  head#h: vec4<f32>,
#end
) -> vec4<f32> {
  let is_odd = (lane & 1u) != 0u;
  let is_upper = (lane & 2u) != 0u;
  var sums = vec4<f32>();
#for h in HEADS
  sums[#h] = scatter_sum(head#h, is_odd, is_upper);
#end
  return sums;
}

fn quad_max(lane: u32, value: vec4<f32>) -> vec4<f32> {
  let pair = max(value, quadSwapX(value));
  return max(pair, quadSwapY(pair));
}

fn quad_sum(lane: u32, value: vec4<f32>) -> vec4<f32> {
  let pair = value + quadSwapX(value);
  return pair + quadSwapY(pair);
}

// The weights of a group's 4 tokens, in this lane's order, from their scores; 0 from token `count` on.
fn weights_of(at: u32, quad_lane: u32, highest: f32, tokens: vec4<u32>, count: u32) -> vec4<f32> {
  let own = select(0.0, exp(score_of(at, quad_lane) - highest), tokens.x < count);
  return vec4(own, quadSwapX(own), quadSwapY(own), quadSwapDiagonal(own));
}
