// Fills a buffer with numbers that no memory can compress; the read probe sums them.

@group(0) @binding(0) var<storage, read_write> source: array<vec4<u32>, VECTORS>;

fn scramble(i: vec4<u32>) -> vec4<u32> {
  let x = i * 2654435761u;
  return x ^ (x >> vec4<u32>(13u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var i = id.x; i < VECTORS; i += groups.x * 64u) {
    source[i] = scramble(4u * i + vec4<u32>(0u, 1u, 2u, 3u));
  }
}
