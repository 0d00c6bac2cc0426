// Multiplies and adds: eight independent chains of vectors. The operands come from memory (1 and 1, so that every number
// stays a small integer), and all numbers differ, so a compiler can neither precompute them nor merge chains. Linked with
// probe/f32 or probe/f16, which define the type `number`.

@group(0) @binding(0) var<storage, read> operands: array<f32>; // factor, addend
@group(0) @binding(1) var<storage, read_write> sums: array<atomic<u32>, 64>; // by lane, over all workgroups

override ITERATIONS: u32;

fn total(v: vec4<number>) -> f32 {
  return dot(vec4<f32>(v), vec4<f32>(1.0));
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  let factor = vec4<number>(number(operands[0]));
  let addend = vec4<number>(number(operands[1]));
  var a = vec4<number>(number(lane)) + vec4<number>(0.0, 64.0, 128.0, 192.0);
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  var e = a + 4.0;
  var f = a + 5.0;
  var g = a + 6.0;
  var h = a + 7.0;
  for (var i = 0u; i < ITERATIONS; i++) {
    a = a * factor + addend;
    b = b * factor + addend;
    c = c * factor + addend;
    d = d * factor + addend;
    e = e * factor + addend;
    f = f * factor + addend;
    g = g * factor + addend;
    h = h * factor + addend;
  }
  let sum = total(a) + total(b) + total(c) + total(d) + total(e) + total(f) + total(g) + total(h);
  atomicAdd(&sums[lane], u32(sum));
}
