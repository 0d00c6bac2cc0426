// Sums of products and quotients that several kernels have to round alike. A compiler may contract or reassociate WGSL's
// operators, and each kernel in another way. With FMA, on GPUs, their rounding is written down as far as WGSL can: an fma() leaves
// no operator to reassociate, though its two operations may still be rounded apart. Without, on software adapters, the operators
// are faster.

fn add_product(sum: f32, a: f32, b: f32) -> f32 {
#if FMA
  return fma(a, b, sum);
#else
  return sum + a * b;
#end
}

fn add_scaled(sum: vec4<f32>, value: vec4<f32>, factor: f32) -> vec4<f32> {
#if FMA
  return fma(value, vec4(factor), sum);
#else
  return sum + value * factor;
#end
}

// Adds 4 products, in order.
fn add4(sum: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, factors: vec4<f32>) -> vec4<f32> {
#if FMA
  let two = fma(b, vec4(factors.y), fma(a, vec4(factors.x), sum));
  return fma(d, vec4(factors.w), fma(c, vec4(factors.z), two));
#else
  return sum + a * factors.x + b * factors.y + c * factors.z + d * factors.w;
#end
}

// A compiler may divide as it likes, but not multiply: the one quotient is that of a row.
fn divided(value: vec4<f32>, divisor: f32) -> vec4<f32> {
#if FMA
  return value * (1.0 / divisor);
#else
  return value / divisor;
#end
}
