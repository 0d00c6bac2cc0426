// Reads a buffer once: a workgroup has a contiguous part, and neighbouring lanes read neighbouring vectors.

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>, VECTORS>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>; // [workgroup][lane]

override LANES: u32;
override VECTORS_PER_LANE: u32; // a multiple of 8

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var at = group.x * LANES * VECTORS_PER_LANE + lane;
  var sum = vec4<u32>();
  for (var i = 0u; i < VECTORS_PER_LANE; i += 8u) {
    sum += source[at];
    sum += source[at + LANES];
    sum += source[at + 2u * LANES];
    sum += source[at + 3u * LANES];
    sum += source[at + 4u * LANES];
    sum += source[at + 5u * LANES];
    sum += source[at + 6u * LANES];
    sum += source[at + 7u * LANES];
    at += 8u * LANES;
  }
  sums[group.x * LANES + lane] = sum.x + sum.y + sum.z + sum.w;
}
