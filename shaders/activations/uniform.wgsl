// activations/: every lane loads the x it needs, which is the same for all of them. Needs no feature.

@group(0) @binding(2) var<storage, read> x: array<vec4<f32>, X_ELEMENTS / 4u>;

alias XSum = vec4<f32>;

// 4 neighbouring k of a token in this lane's order, and its share of their sum.
struct X {
  quad: vec4<f32>,
  share: XSum,
}

var<private> quad_lane: u32;

fn load_x(at: u32) -> X {
  let in_order = x[at / 4u];
  let paired = select(in_order, in_order.yxwz, (quad_lane & 1u) != 0u);
  let quad = select(paired, paired.zwxy, (quad_lane & 2u) != 0u);
  return X(quad, quad);
}

// The sum of x over a group, from the shares added up.
fn x_total(sum: XSum) -> f32 {
  return (sum.x + sum.y) + (sum.z + sum.w);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  quad_lane = lane & 3u;
  matmul(workgroup, lane);
}
