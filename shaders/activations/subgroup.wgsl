// activations/: the 4 lanes of a quad load one x each and swap. Right for any subgroup size, as long as lanes 4i to
// 4i + 3 of a workgroup form a quad: every known adapter does that, WGSL does not promise it, so src/gpu/quad-probe.ts
// asks the adapter before this file is used.
enable subgroups;

@group(0) @binding(2) var<storage, read> x: array<f32, X_ELEMENTS>;

alias XSum = f32;

// 4 neighbouring k of a token in this lane's order, and its share of their sum.
struct X {
  quad: vec4<f32>,
  share: XSum,
}

var<private> quad_lane: u32;

fn from_quad(mine: f32) -> vec4<f32> {
  return vec4(mine, quadSwapX(mine), quadSwapY(mine), quadSwapDiagonal(mine));
}

fn load_x(at: u32) -> X {
  let mine = x[at + quad_lane];
  return X(from_quad(mine), mine);
}

// The sum of x over a group, from the shares added up.
fn x_total(sum: XSum) -> f32 {
  let shares = from_quad(sum);
  return (shares.x + shares.y) + (shares.z + shares.w);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  quad_lane = lane & 3u;
  matmul(workgroup, lane);
}
