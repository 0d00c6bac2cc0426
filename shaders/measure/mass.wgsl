// top_p: a token counts its probability in units of 2^-31 of the most likely one's; selects the largest that make up p of
// all. The arithmetic is in integers, apart from one subtraction and one product of f32, which are correctly rounded: so
// the sums are the same on every adapter. Exact to 2^-14 of a mass; a token 2^-32 as likely as the most likely one counts 0.

fn is_asked_for(filters: vec4<u32>) -> bool {
  return filters.y != 0u;
}

// exp((logit - largest) / temperature) * 2^31 as 2^-x, where filters.w holds 2^16 * log2(e) / temperature.
fn measure(bits: u32, largest: u32, filters: vec4<u32>) -> u32 {
  let scaled = (bitcast<f32>(largest) - bitcast<f32>(bits)) * bitcast<f32>(filters.w);
  if (!(scaled < 0x1p21)) {
    return 0u; // x >= 32
  }
  let x = u32(scaled); // 2^16 x
  // 2^-f for the fraction f, in units of 2^-16: a polynomial fitted to be off by less than 2 of them.
  let f = x & 0xffffu;
  var power = 449u;
  power = 3493u - ((power * f) >> 16u);
  power = 15698u - ((power * f) >> 16u);
  power = 45422u - ((power * f) >> 16u);
  power = 0x10000u - ((power * f) >> 16u);
  return (power << 15u) >> (x >> 16u);
}

// p of the total, rounded up; filters.y holds p * 2^32.
fn goal_of(total: vec2<u32>, filters: vec4<u32>) -> vec2<u32> {
  let low = multiply64(total.x, filters.y);
  let rounded = vec2(low.y, 0u) + vec2(select(0u, 1u, low.x != 0u), 0u);
  return add64(multiply64(total.y, filters.y), rounded);
}
