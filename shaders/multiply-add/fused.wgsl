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
