// The score of a token; the highest is drawn. At temperature 0 it is the logit, else the Gumbel-max trick (argmax of
// logit / temperature + Gumbel noise is a draw from the softmax; Gumbel, 1954). The noise is a pure function of (seed,
// choice, position, token), so a resumed or re-batched request draws the same token.

const LOWEST = -3.4e38;

// PCG-RXS-M-XS, as a hash (Jarzynski and Olano, Hash Functions for GPU Rendering, 2020).
fn hash(value: u32) -> u32 {
  let state = value * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

// -log(-log(1 - v)) for v uniform in (0, 1). Winning draws have v near 0, where WGSL allows log(1 - v) an absolute error
// of 2^-21: enough to make it 0 and the noise infinite. So there -log(1 - v) is v + v^2 / 2 + v^3 / 3 + ...
fn gumbel(key: u32, token: u32) -> f32 {
  let v = (f32(hash(key ^ hash(token)) >> 9u) + 0.5) * 0x1p-23;
  var series = 1.0 / 4.0 + v / 5.0;
  series = multiply_add(v, series, 1.0 / 3.0);
  series = multiply_add(v, series, 1.0 / 2.0);
  series = v * multiply_add(v, series, 1.0);
  return -log(select(-log(1.0 - v), series, v < 0x1p-4));
}

// The inputs of a sample's noise; the vectors are those of src/kernels/step-inputs.ts.
fn noise_key(first: vec4<u32>, second: vec4<u32>) -> u32 {
  return hash(first.z ^ hash(first.w ^ hash(second.x))); // mutation: noise-position
}

// Of a logit that is not a number: LOWEST, which beats nothing. Tested by bits, as a compiler may assume that floats are numbers.
fn score_of(logit: f32, temperature: f32, key: u32, token: u32) -> f32 {
  var score = logit;
  if (temperature > 0.0) {
    score = logit / temperature + gumbel(key, token);
  }
  return select(score, LOWEST, (bitcast<u32>(logit) << 1u) > 0xff000000u);
}
