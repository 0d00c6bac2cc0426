// epilogue/: y is added to the residual stream. Also writes the inputs of the next RMSNorm: the stream times the norm's gain,
// and sums of squares. common/inverse-rms computes the divisor where the stream is read.
// hidden    [token][OUTPUTS / 4] of 4
// gain      [OUTPUTS / 4] of 4
// weighted  [token][OUTPUTS / 4] of 4
// squares   [token][4 * SQUARES]: of 32 neighbouring outputs each; elements past the last stay 0

@group(0) @binding(4) var<storage, read_write> hidden: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gain: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> weighted: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> squares: array<f32>;

override SQUARES: u32;

var<workgroup> lane_squares: array<f32, TOKENS * PER_LANE * SET>; // [token][tile][lane]

fn finish(token: u32, output: u32, norm: f32, total: vec4<f32>, place: u32) {
  var sum = vec4<f32>();
  if (token < counts.rows && output < OUTPUTS) {
    let at = (token * OUTPUTS + output) / 4u;
    sum = hidden[at] + total;
    hidden[at] = sum;
    weighted[at] = sum * gain[output / 4u]; // mutation: next-norm-gain
  }
  lane_squares[place] = square_sum(sum);
}

// Sums the squares of 8 lanes, in order.
fn conclude(first_token: u32, first_unit: u32, local: u32) {
  workgroupBarrier();
  for (var place = 8u * local; place < TOKENS * PER_LANE * SET; place += 8u * WORKGROUP) {
    var sum = 0.0;
    for (var i = 0u; i < 8u; i++) {
      sum += lane_squares[place + i];
    }
    let token = first_token + place / (SET * PER_LANE);
    let output = output_of(first_unit + place % SET, (place / SET) % PER_LANE);
    if (token < counts.rows && output < OUTPUTS) {
      squares[token * 4u * SQUARES + output / 32u] = sum;
    }
  }
}
