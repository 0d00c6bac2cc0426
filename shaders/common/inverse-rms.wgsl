// RMSNorm's divisor, from the sums of squares of epilogue/residual or embed: x / sqrt(mean of x^2 + EPSILON). Zhang and
// Sennrich, Root Mean Square Layer Normalization, 2019. As a factor of y: W (x * gain) / rms(x).
// squares  [row][SQUARES] of 4

override SQUARES: u32;
override EPSILON: f32;
override NORM_SIZE: u32; // elements in the sums: K without padding

fn inverse_rms(row: u32) -> f32 {
  var sums = vec4<f32>();
  for (var i = 0u; i < SQUARES; i++) {
    sums += squares[row * SQUARES + i];
  }
  return 1.0 / sqrt(((sums.x + sums.y) + (sums.z + sums.w)) / f32(NORM_SIZE) + EPSILON); // mutation: norm-epsilon
}
