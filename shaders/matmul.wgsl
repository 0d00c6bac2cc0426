// Matrix product with quantised weights: y[t][n] (+)= sum over k of w[n][k] * x[t][k], for tokens t and outputs n.
//
// A lane computes 4 neighbouring outputs for TOKENS tokens; a workgroup of LANES lanes computes a tile of 4 * LANES
// outputs. No lane waits for another: no barrier, no workgroup memory.
//
// Slots:
//   sizes         lengths of the buffers: WEIGHTS, SCALES, X_ELEMENTS, Y. Robust access to arrays of fixed size costs a
//                 fifth less, and a pipeline constant cannot size them
//   quant/        what a weight word holds
//   scales/       what INT4's scales look like
//   activations/  how x reaches the lanes, and the entry point
//   tokens/       how many tokens a lane carries
//   walk/         how a group's words are walked
//
// Every combination adds the same numbers in the same order, so a token's outputs have the same bits whichever is used:
// k in order within a group of 32 (but see below), groups in order within a slice of SLICE_GROUPS, then slices in order.
//
// The 4 neighbouring k of a quad stand in lane's own order, k ^ (lane & 3): lanes of a quad can then swap the x they
// loaded, which costs less than handing every lane the same x.
//
// weights [tile][k / WORD_K][lane] vec4: component c is the word of output tile * 4 * LANES + lane * 4 + c.
// scales  [tile][k / 32][lane] vec4: likewise, one scale (and min) for each group of 32 k.
// y       [token][OUTPUT_STRIDE], written from OUTPUT_OFFSET on.

override LANES: u32;
override OUTPUTS: u32; // a multiple of 4
override K: u32; // a multiple of 32
override SLICE_GROUPS: u32;
override OUTPUT_OFFSET: u32; // a multiple of 4
override OUTPUT_STRIDE: u32; // a multiple of 4
override ACCUMULATE: bool; // add to y (a residual) instead of overwriting it

struct Counts {
  rows: u32, // how many tokens this step
}

@group(0) @binding(0) var<storage, read> weights: array<vec4<i32>, WEIGHTS>;
@group(0) @binding(1) var<storage, read> scales: array<vec4<u32>, SCALES>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>, Y>;
@group(0) @binding(4) var<uniform> counts: Counts;

// The weights of 4 outputs at 4 neighbouring k.
struct Quad {
  k0: vec4<f32>,
  k1: vec4<f32>,
  k2: vec4<f32>,
  k3: vec4<f32>,
}

fn multiply_add(sum: vec4<f32>, w: Quad, x: vec4<f32>) -> vec4<f32> {
  return sum + w.k0 * x.x + w.k1 * x.y + w.k2 * x.z + w.k3 * x.w;
}

fn store(token: u32, output: u32, value: vec4<f32>) {
  if (token >= counts.rows) {
    return;
  }
  let at = (token * OUTPUT_STRIDE + OUTPUT_OFFSET + output) / 4u;
  if (ACCUMULATE) {
    y[at] += value;
  } else {
    y[at] = value;
  }
}

fn matmul(workgroup: vec3<u32>, lane: u32) {
  let tile = workgroup.x;
  let first_token = workgroup.y * TOKENS;
  let groups = K / 32u;
  var total = Tile();
  for (var first = 0u; first < groups; first += SLICE_GROUPS) {
    var slice = Tile();
    for (var group = first; group < min(first + SLICE_GROUPS, groups); group++) {
      let part = group_sums(((tile * K + group * 32u) / WORD_K) * LANES + lane, first_token * K + group * 32u);
      slice = tile_add(slice, finish_group(part, (tile * groups + group) * LANES + lane));
    }
    total = tile_add(total, slice);
  }
  let output = (tile * LANES + lane) * 4u;
  if (output < OUTPUTS) {
    tile_store(total, first_token, output);
  }
}
