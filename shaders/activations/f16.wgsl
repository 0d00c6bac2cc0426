// activations/: f16, as fractions of the largest magnitude of a group, so that no sum overflows.

const STEPS = 1.0; // of the largest magnitude
const X_VECTORS = 4u; // vec4 of a group
const VECTOR_QUADS = 2u; // vec4 of x for each

// Writes 8 neighbouring elements, in pairs: 0 and 2, 1 and 3, 4 and 6, 5 and 7. Returns their sum, before rounding.
fn put(at: u32, first: u32, step: f32) -> f32 {
  let a = x[first] / step;
  let b = x[first + 1u] / step;
  y[at] = vec4(pack2x16float(a.xz), pack2x16float(a.yw), pack2x16float(b.xz), pack2x16float(b.yw));
  let sum = a + b;
  return (sum.x + sum.y) + (sum.z + sum.w);
}
