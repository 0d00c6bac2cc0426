// Compares two buffers of one size word by word. Words are compared as integers: a NaN equals itself, and 0 is not -0.
// counts  [0]: words that differ, [1]: words that were compared

@group(0) @binding(0) var<storage, read> expected: array<u32>;
@group(0) @binding(1) var<storage, read> found: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>, 2>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  var differing = 0u;
  var compared = 0u;
  for (var i = id.x; i < arrayLength(&expected); i += groups.x * 64u) {
    differing += select(0u, 1u, expected[i] != found[i]);
    compared += 1u;
  }
  if (differing > 0u) {
    atomicAdd(&counts[0], differing);
  }
  atomicAdd(&counts[1], compared);
}
