// quads/: the lanes of a quad share values through workgroup memory. Needs no feature.

// For each head, the sum over the quad's lanes of component lane % 4: (0 + 1) + (2 + 3).
fn scatter_sums(
  lane: u32,
#for h in HEADS
  head#h: vec4<f32>,
#end
) -> vec4<f32> {
  workgroupBarrier();
#for h in HEADS
  exchange[#h * LANES + lane] = head#h;
#end
  workgroupBarrier();
  let quad = lane - (lane & 3u);
  let component = lane & 3u;
  var sums = vec4<f32>();
#for h in HEADS
  sums[#h] = (exchange[#h * LANES + quad][component] + exchange[#h * LANES + quad + 1u][component])
    + (exchange[#h * LANES + quad + 2u][component] + exchange[#h * LANES + quad + 3u][component]);
#end
  return sums;
}

fn share(lane: u32, value: vec4<f32>) {
  workgroupBarrier();
  exchange[lane] = value;
  workgroupBarrier();
}

fn quad_max(lane: u32, value: vec4<f32>) -> vec4<f32> {
  share(lane, value);
  let quad = lane - (lane & 3u);
  return max(max(exchange[quad], exchange[quad + 1u]), max(exchange[quad + 2u], exchange[quad + 3u]));
}

fn quad_sum(lane: u32, value: vec4<f32>) -> vec4<f32> {
  share(lane, value);
  let quad = lane - (lane & 3u);
  return (exchange[quad] + exchange[quad + 1u]) + (exchange[quad + 2u] + exchange[quad + 3u]);
}

// The weights of a group's 4 tokens, in this lane's order, from their scores; 0 from token `count` on.
fn weights_of(at: u32, quad_lane: u32, highest: f32, tokens: vec4<u32>, count: u32) -> vec4<f32> {
  let four = vec4(
    score_of(at, quad_lane),
    score_of(at, quad_lane ^ 1u),
    score_of(at, quad_lane ^ 2u),
    score_of(at, quad_lane ^ 3u),
  );
  return select(vec4<f32>(), exp(four - highest), tokens < vec4(count));
}
