// Matrix product with packed weights, y[t][n] = sum over k of w[n][k] * x[t][k] for tokens t and outputs n, and an epilogue
// that consumes y.
//
// A lane computes 4 neighbouring outputs of each of SERIES * TILES tiles, for TOKENS tokens. A workgroup has SPLITS sets of
// SET lanes side by side. Each of these sets takes its own slices of k. Token blocks are neighbours in the grid, so that they
// find the weights of their tiles in a cache.
//
// Slots:
//   sizes      constants: lengths of the buffers (robust access to arrays of fixed size costs a fifth less, and a pipeline
//              constant cannot size them), and the values of this template
//   quant/     the format of a weight word
//   dot/       the number type of products, and the form of x for it
//   scales/    the format of a group's scale; floats have none
//   rows/      the row of x for a token
//   epilogue/  consumes the outputs
//
// Products are in f32 of x as it is, or in another class of numerics of the output of quantise: exact integers (dp4a), or
// f16. There a group of 32 k of x has its own scale, and its sum is scaled in f32; the rest is the same.
//
// For all values of TOKENS, TILES, SERIES, SET, SPLITS and SUBGROUPS the same numbers are added in the same order, so a
// token's outputs have the same bits: k in order within a group of 32 (but see below), groups in order within a slice of
// SLICE_GROUPS, then slices in order.
//
// In f32, the 4 neighbouring k of a quad are in the lane's own order, k ^ (lane & 3): lanes of a quad can then swap the x
// they loaded (SUBGROUPS), which costs less than loading the same x in every lane. This is right for any subgroup size, as
// long as lanes 4i to 4i + 3 of a workgroup form a quad. Every known adapter does that, but WGSL does not guarantee it, so
// src/gpu/quad-probe.ts tests the adapter first.
//
// weights [tile][k / WORD_K][lane] vec4: component c is the word of output tile * 4 * LANES + lane * 4 + c.
// scales  [tile][k / 32][lane] vec4: likewise, one scale (and min) for each group of 32 k. Floats have none.

override LANES: u32; // of a tile
override OUTPUTS: u32; // a multiple of 4
override K: u32; // a multiple of 32
override SLICE_GROUPS: u32;
// A lane's tiles are TILE_STRIDE apart, those of neighbouring sets of lanes TILE_STEP.
override TILE_STEP: u32;
override TILE_STRIDE: u32;

struct Counts {
  rows: u32, // the number of tokens of this step
}

@group(0) @binding(0) var<storage, read> weights: array<vec4<i32>, WEIGHTS>;
@group(0) @binding(1) var<storage, read> scales: array<vec4<u32>, SCALES>;
@group(0) @binding(3) var<uniform> counts: Counts;

const PER_LANE = SERIES * TILES;
#if F32
const STEP_K = WORD_K * STEP_WORDS; // of the words that are loaded at once
#end

#if SPLIT
// Partial sums that sets of lanes pass to the first set: [set][token][tile][lane].
var<workgroup> parts: array<vec4<f32>, SPLITS * TOKENS * TILES * SET>;
#end

// The first of the 4 outputs of a lane's i-th tile, where lanes count over the first sets of all workgroups.
fn output_of(unit: u32, i: u32) -> u32 {
  return (((unit / LANES) * TILE_STEP + i * TILE_STRIDE) * LANES + unit % LANES) * 4u;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let split = local / SET; // the lane's set
  let unit = workgroup.y * SET + local % SET;
  let lane = unit % LANES;
  let first_token = workgroup.x * TOKENS;
  let groups = K / 32u;
  let slices = (groups + SLICE_GROUPS - 1u) / SLICE_GROUPS;
#for t in TOKENS
  let row_at_#t = row_start(row_of(first_token + #t), lane);
#end
#for s in SERIES
#for r in TILES
  let tile_#s_#r = (unit / LANES) * TILE_STEP + (#s * TILES + #r) * TILE_STRIDE;
#for t in TOKENS
  var total_#s_#r_#t = vec4<f32>();
#end
#end
#if SLICED
  for (var first_slice = 0u; first_slice < slices; first_slice += SPLITS) {
#else
  {
#end
#for r in TILES
#for t in TOKENS
    var slice_#r_#t = vec4<f32>();
#end
#end
#if SPLIT
    // The same number of iterations for every lane, since they swap x. Iterations past the end add nothing.
    for (var i = 0u; i < SLICE_GROUPS; i++) {
      let group = (first_slice + split) * SLICE_GROUPS + i;
#else
#if SLICED
    let first_group = first_slice * SLICE_GROUPS;
#else
    let first_group = 0u;
#end
    for (var group = first_group; group < min(first_group + SLICE_GROUPS, groups); group++) {
#end
#for t in TOKENS
      let x_at_#t = row_at_#t + group * GROUP_X;
#for r in TILES
      var part_#r_#t = Part();
#end
#end
#for r in TILES
      let word_at_#r = ((tile_#s_#r * K + group * 32u) / WORD_K) * LANES + lane;
#end
#if F32
#for t in TOKENS
      var x_sum_#t = XSum();
#end
#for j in UNROLLED_WORDS
#if LOOPED
      for (var j = 0u; j < 32u / STEP_K; j++) {
#else
      {
        const j = u32(#j);
#end
#for r in TILES
#for w in STEP_WORDS
        let word_#r_#w = weights[word_at_#r + (j * STEP_WORDS + #w) * LANES];
#end
#end
#for h in WORD_QUADS
        {
#for r in TILES
          let a_#r = weight_#h_0(
#for w in STEP_WORDS
            word_#r_#w,
#end
          );
          let b_#r = weight_#h_1(
#for w in STEP_WORDS
            word_#r_#w,
#end
          );
          let c_#r = weight_#h_2(
#for w in STEP_WORDS
            word_#r_#w,
#end
          );
          let d_#r = weight_#h_3(
#for w in STEP_WORDS
            word_#r_#w,
#end
          );
#end
#for t in TOKENS
          {
#if SUBGROUPS
            let mine = x[x_at_#t + j * STEP_K + #h * 4u];
            x_sum_#t += mine;
            let xa = x_#h_0(mine);
            let xb = x_#h_1(quadSwapX(mine));
            let xc = x_#h_2(quadSwapY(mine));
            let xd = x_#h_3(quadSwapDiagonal(mine));
#else
            let quad = in_lane_order(x[(x_at_#t + j * STEP_K + #h * 4u) / 4u], lane);
            x_sum_#t += quad;
            let xa = x_#h_0(quad.x);
            let xb = x_#h_1(quad.y);
            let xc = x_#h_2(quad.z);
            let xd = x_#h_3(quad.w);
#end
#for r in TILES
            part_#r_#t = part_#r_#t + a_#r * xa + b_#r * xb + c_#r * xc + d_#r * xd;
#end
          }
#end
        }
#end
      }
#end
#else
      for (var i = 0u; i < X_VECTORS; i++) {
#for r in TILES
#for w in VECTOR_WORDS
        let word_#r_#w = bitcast<vec4<u32>>(weights[word_at_#r + (i * VECTOR_WORDS + #w) * LANES]);
#for o in WORD_OPERANDS
        let operand_#r_#w_#o = operand_#o(word_#r_#w);
#end
#end
#end
#for t in TOKENS
        {
          let quad = x[x_at_#t + i];
#for r in TILES
#for w in VECTOR_WORDS
#for o in WORD_OPERANDS
          part_#r_#t += product(operand_#r_#w_#o, quad[#w * WORD_OPERANDS + #o]);
#end
#end
#end
        }
#end
      }
#for t in TOKENS
      let x_scale_#t = bitcast<vec2<f32>>(x[x_at_#t + X_VECTORS].xy);
#end
#end
#for r in TILES
      {
#if HAS_SCALE
        let scale = group_scale((tile_#s_#r * groups + group) * LANES + lane);
#end
#if HAS_MINIMUM
        let minimum = minimum_of(scale, group_minimum((tile_#s_#r * groups + group) * LANES + lane));
#end
#for t in TOKENS
#if F32
#if HAS_MINIMUM
        let sum_#t = scale * part_#r_#t + minimum * x_total(x_sum_#t);
#else
#if HAS_SCALE
        let sum_#t = scale * part_#r_#t;
#else
        let sum_#t = part_#r_#t;
#end
#end
#else
#if HAS_MINIMUM
        let sum_#t = x_scale_#t.x * (scale * sum_of(part_#r_#t) + minimum * x_scale_#t.y);
#else
        let sum_#t = x_scale_#t.x * (scale * sum_of(part_#r_#t));
#end
#end
#if SPLIT
        slice_#r_#t += select(vec4<f32>(), sum_#t, group < groups); // mutation: slices-past-k
#else
        slice_#r_#t += sum_#t;
#end
#end
      }
#end
    }
#if SPLIT
#for r in TILES
#for t in TOKENS
    parts[((split * TOKENS + #t) * TILES + #r) * SET + local % SET] = slice_#r_#t;
#end
#end
    workgroupBarrier();
    if (split == 0u) {
      for (var i = 0u; i < min(SPLITS, slices - first_slice); i++) {
#for r in TILES
#for t in TOKENS
        total_#s_#r_#t += parts[((i * TOKENS + #t) * TILES + #r) * SET + local];
#end
#end
      }
    }
    workgroupBarrier(); // mutation: barrier-between-slices
#else
#for r in TILES
#for t in TOKENS
    total_#s_#r_#t += slice_#r_#t;
#end
#end
#end
  }
#end
  if (split == 0u) {
    // Loops from here on: otherwise the epilogue would be compiled once for each output.
    var totals = array<vec4<f32>, TOKENS * PER_LANE>(
#for t in TOKENS
#for s in SERIES
#for r in TILES
      total_#s_#r_#t,
#end
#end
#end
    );
    for (var t = 0u; t < TOKENS; t++) {
      let token = first_token + t;
#if NORMALISED
      let norm = inverse_rms(row_of(token));
#else
      let norm = 1.0;
#end
#if PAIRED
      finish(token, output_of(unit, 0u), norm * totals[2u * t], norm * totals[2u * t + 1u]);
#else
      for (var i = 0u; i < PER_LANE; i++) {
        finish(token, output_of(unit, i), norm * totals[t * PER_LANE + i], (t * PER_LANE + i) * SET + local);
      }
#end
    }
  }
  conclude(first_token, workgroup.y * SET, local);
}
