// RMSNorm's divisor, from the sums of squares that epilogue/residual or embed left: x / sqrt(mean of x^2 + EPSILON). Zhang
// and Sennrich, Root Mean Square Layer Normalization, 2019. As a factor of y: W (x * gain) / rms(x).
// squares  [row][SQUARES] of 4

override SQUARES: u32;
override EPSILON: f32;
override NORM_SIZE: u32; // elements that have been added up: K without the zeros that pad it

fn inverse_rms(row: u32) -> f32 {
  var sums = vec4<f32>();
  for (var i = 0u; i < SQUARES; i++) {
    sums += squares[row * SQUARES + i];
  }
  return 1.0 / sqrt(((sums.x + sums.y) + (sums.z + sums.w)) / f32(NORM_SIZE) + EPSILON);
}
