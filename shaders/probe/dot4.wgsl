// Dot products of four 8-bit integers, each with an addition: sixteen chains, as in probe/multiply-add.

@group(0) @binding(0) var<storage, read> operands: array<u32>; // four factors, addend
@group(0) @binding(1) var<storage, read_write> sums: array<atomic<u32>, 64>; // by lane, over all workgroups

override ITERATIONS: u32;

fn next(chains: vec4<u32>, factors: u32, addend: i32) -> vec4<u32> {
  return vec4<u32>(
    u32(dot4I8Packed(chains.x, factors) + addend),
    u32(dot4I8Packed(chains.y, factors) + addend),
    u32(dot4I8Packed(chains.z, factors) + addend),
    u32(dot4I8Packed(chains.w, factors) + addend),
  );
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  let factors = operands[0];
  let addend = i32(operands[1]);
  var a = vec4<u32>(lane) + vec4<u32>(0u, 64u, 128u, 192u);
  var b = a + 256u;
  var c = a + 512u;
  var d = a + 768u;
  for (var i = 0u; i < ITERATIONS; i++) {
    a = next(a, factors, addend);
    b = next(b, factors, addend);
    c = next(c, factors, addend);
    d = next(d, factors, addend);
  }
  let sum = a + b + c + d;
  atomicAdd(&sums[lane], sum.x + sum.y + sum.z + sum.w);
}
