// multiply-add/: a * b + c as fma(). For GPUs: compilers have little reason to change it, while they may contract a * b + c in
// one pipeline and not in another. WGSL allows fma() two roundings as well.

fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
  return fma(a, b, c);
}

fn multiply_add4(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>) -> vec4<f32> {
  return fma(a, b, c);
}

fn square_sum(v: vec4<f32>) -> f32 {
  return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, v.x * v.x)));
}

// sum + a * factors.x + ..., the products added in order.
fn add4(sum: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, factors: vec4<f32>) -> vec4<f32> {
  let two = fma(b, vec4(factors.y), fma(a, vec4(factors.x), sum));
  return fma(d, vec4(factors.w), fma(c, vec4(factors.z), two));
}

// A compiler may divide as it likes, but not multiply: the one quotient is that of a row.
fn divided(value: vec4<f32>, divisor: f32) -> vec4<f32> {
  return value * (1.0 / divisor);
}
