// dot/: integer products of four k at once, summed exactly in 32 bits: 32 * 128 * 127 at most.

@group(0) @binding(2) var<storage, read> x: array<vec4<u32>, X_ELEMENTS / 4u>; // the output of quantise

const GROUP_X = X_VECTORS + 1u; // the distance between groups of x

fn row_start(row: u32, lane: u32) -> u32 {
  return row * (K / 32u) * GROUP_X;
}

alias Operand = vec4<u32>; // of each output of a lane: 4 weights, a byte each
alias Part = vec4<i32>;

// x: 4 activations, a byte each.
fn with_product(part: Part, weights: Operand, x: u32) -> Part {
  return part + vec4(
    dot4I8Packed(weights.x, x),
    dot4I8Packed(weights.y, x),
    dot4I8Packed(weights.z, x),
    dot4I8Packed(weights.w, x),
  );
}

fn sum_of(part: Part) -> vec4<f32> {
  return vec4<f32>(part);
}
