// activations/: 8 bits. The largest magnitude of a group is 127 steps, and every element the nearest step, ties to even.

const STEPS = 127.0; // of the largest magnitude
const X_VECTORS = 2u; // vec4 of a group
const VECTOR_QUADS = 4u; // vec4 of x for each

// Writes 16 neighbouring elements, a byte each, the first of 4 in the lowest. Returns the sum of the rounded elements.
fn put(at: u32, first: u32, step: f32) -> f32 {
  let a = steps_of(x[first], step);
  let b = steps_of(x[first + 1u], step);
  let c = steps_of(x[first + 2u], step);
  let d = steps_of(x[first + 3u], step);
  y[at] = vec4(word_of(a), word_of(b), word_of(c), word_of(d));
  let sum = (a + b) + (c + d);
  return f32((sum.x + sum.y) + (sum.z + sum.w));
}

fn steps_of(quad: vec4<f32>, step: f32) -> vec4<i32> {
  return vec4<i32>(clamp(round(quad / step), vec4(-127.0), vec4(127.0)));
}

fn word_of(steps: vec4<i32>) -> u32 {
  let bytes = (bitcast<vec4<u32>>(steps) & vec4(0xffu)) << vec4(0u, 8u, 16u, 24u);
  return bytes.x | bytes.y | bytes.z | bytes.w;
}
