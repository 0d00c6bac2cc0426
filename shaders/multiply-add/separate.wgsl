// multiply-add/: a * b + c in two roundings, unless the compiler contracts it. For software adapters, whose bits and goldens
// are older than the fused form.

fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
  return a * b + c;
}

fn multiply_add4(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>) -> vec4<f32> {
  return a * b + c;
}

fn square_sum(v: vec4<f32>) -> f32 {
  return dot(v, v);
}

// sum + a * factors.x + ..., the products added in order.
fn add4(sum: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, factors: vec4<f32>) -> vec4<f32> {
  return sum + a * factors.x + b * factors.y + c * factors.z + d * factors.w;
}

fn divided(value: vec4<f32>, divisor: f32) -> vec4<f32> {
  return value / divisor;
}
