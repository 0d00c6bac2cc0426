// Whether lanes 4i to 4i + 3 of a workgroup form a quad, in order: writes 1 for each lane that sees its neighbours
// where shaders/matmul.wgsl expects them.
enable subgroups;

const LANES = 64u;

@group(0) @binding(0) var<storage, read_write> agrees: array<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let seen = vec3(quadSwapX(lane), quadSwapY(lane), quadSwapDiagonal(lane));
  agrees[workgroup.x * LANES + lane] = select(0u, 1u, all(seen == vec3(lane ^ 1u, lane ^ 2u, lane ^ 3u)));
}
