// dot/: products in f16 of two k at once, summed in f16 within a group; |x| is at most 1 (see activations/f16).
enable f16;

@group(0) @binding(2) var<storage, read> x: array<vec4<u32>, X_ELEMENTS / 4u>; // the output of quantise

const GROUP_X = X_VECTORS + 1u; // the distance between groups of x

fn row_start(row: u32, lane: u32) -> u32 {
  return row * (K / 32u) * GROUP_X;
}

alias Operand = mat2x4<f16>; // two weights of each output of a lane: outputs 0 and 1, outputs 2 and 3
alias Part = mat2x4<f16>;

fn halves(bits: vec4<u32>, bias: f16) -> Operand {
  return Operand(bitcast<vec4<f16>>(bits.xy) - bias, bitcast<vec4<f16>>(bits.zw) - bias);
}

// x: two activations.
fn with_product(part: Part, weights: Operand, x: u32) -> Part {
  let pair = bitcast<vec2<f16>>(x).xyxy;
  return Part(fma(weights[0], pair, part[0]), fma(weights[1], pair, part[1]));
}

fn sum_of(part: Part) -> vec4<f32> {
  let first = vec4<f32>(part[0]);
  let last = vec4<f32>(part[1]);
  return vec4(first.xz + first.yw, last.xz + last.yw);
}
