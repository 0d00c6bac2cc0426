// Activations in the form that matmul reads where its products are not in f32: groups of 32 k, each with a scale and a sum.
//
// Slots: activations/ (the number type that x is rounded to).
// x  [row][K / 4] of 4
// y  [row][K / 32] of X_VECTORS + 1 vec4: rounded x, then scale, sum, 0, 0

override K: u32; // a multiple of 32

struct Counts {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> counts: Counts;

// Groups with a smaller largest magnitude become 0: their steps would be subnormal.
const SMALLEST = 0x04000000u; // 2^-119

// Each lane takes a group.
@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let group = id.x;
  let row = id.y;
  if (group >= K / 32u || row >= counts.rows) {
    return;
  }
  let first = row * (K / 4u) + group * 8u;
  // Magnitudes are compared as bits, which have the same order and keep a NaN: it makes the scale a NaN.
  var highest = vec4<u32>();
  for (var i = 0u; i < 8u; i++) {
    highest = max(highest, bitcast<vec4<u32>>(x[first + i]) & vec4(0x7fffffffu));
  }
  let bits = max(max(highest.x, highest.y), max(highest.z, highest.w));
  let scale = select(bitcast<f32>(bits) / STEPS, 0.0, bits < SMALLEST);
  let divisor = select(scale, 1.0, scale == 0.0);
  let at = (row * (K / 32u) + group) * (X_VECTORS + 1u);
  var sum = 0.0;
  for (var i = 0u; i < X_VECTORS; i++) {
    sum += put(at + i, first + i * VECTOR_QUADS, divisor);
  }
  y[at + X_VECTORS] = vec4(bitcast<u32>(scale), bitcast<u32>(select(sum, 0.0, scale == 0.0)), 0u, 0u);
}
