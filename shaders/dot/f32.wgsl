// dot/: products in f32, of x as it is.

const GROUP_X = 32u; // the distance between groups of x
const STEP_K = WORD_K * STEP_WORDS; // of the words that are loaded at once
alias Part = vec4<f32>;

#if SUBGROUPS
enable subgroups;

@group(0) @binding(2) var<storage, read> x: array<f32, X_ELEMENTS>;

alias XSum = f32; // of a lane's share

// The start of a lane's share of a row of x.
fn row_start(row: u32, lane: u32) -> u32 {
  return row * K + (lane & 3u);
}

// The sum of x over a group, from the shares of the lanes of a quad.
fn x_total(share: f32) -> f32 {
  return (share + quadSwapX(share)) + (quadSwapY(share) + quadSwapDiagonal(share));
}
#else
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>, X_ELEMENTS / 4u>;

alias XSum = vec4<f32>;

fn row_start(row: u32, lane: u32) -> u32 {
  return row * K;
}

// 4 neighbouring k, in the lane's order.
fn in_lane_order(quad: vec4<f32>, lane: u32) -> vec4<f32> {
  let paired = select(quad, quad.yxwz, (lane & 1u) != 0u);
  return select(paired, paired.zwxy, (lane & 2u) != 0u);
}

fn x_total(sum: vec4<f32>) -> f32 {
  return (sum.x + sum.y) + (sum.z + sum.w); // mutation: group-minimum
}
#end
