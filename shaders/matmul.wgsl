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
//   sets/      included: how sets of lanes share k, and the sum over its slices
//   slices/    included there: the sum over the runs of a slice
//   products/  included there: the sum over a group of 32 k
//   epilogue/  consumes the outputs
//
// Products are in f32 of x as it is, or in another class of numerics of the output of quantise: exact integers (dp4a), or
// f16. There a group of 32 k of x has its own scale, and its sum is scaled in f32; the rest is the same.
//
// For all values of TOKENS, TILES, SERIES, SET, SPLITS and SUBGROUPS the same numbers are added in the same order, so a
// token's outputs have the same bits: k in order within a group of 32 (but see below), groups in order within a run of
// RUN_GROUPS, runs in order within a slice of SLICE_GROUPS, then slices in order. A slice has up to 4 runs, so up to 64 sets of
// lanes could share k; today 16 do.
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
override RUN_GROUPS: u32;
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

#if SPLIT
// Partial sums that sets of lanes pass to the first set: [set][token][tile][lane].
var<workgroup> parts: array<vec4<f32>, SPLITS * TOKENS * TILES * SET>;
#end

// The first of the 4 outputs of a lane's i-th tile, where lanes count over the first sets of all workgroups.
fn output_of(unit: u32, i: u32) -> u32 {
  return (((unit / LANES) * TILE_STEP + i * TILE_STRIDE) * LANES + unit % LANES) * 4u;
}

#if NORMS_SHARED
var<workgroup> norms: array<f32, TOKENS>;
#end

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
#if NORMS_SHARED
  // One lane of a set for a token, before its share of k; the barrier after that is this one's, too.
  if (local % SET == 0u) {
    for (var t = split; t < TOKENS; t += SPLITS) {
      norms[t] = inverse_rms(row_of(first_token + t)); // mutation: shared-norm
    }
  }
#end
#for s in SERIES
#for r in TILES
  let tile_#s_#r = (unit / LANES) * TILE_STEP + (#s * TILES + #r) * TILE_STRIDE;
#for t in TOKENS
  var total_#s_#r_#t = vec4<f32>();
#end
#end
#include SETS
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
#if NORMS_SHARED
      let norm = norms[t];
#else
      let norm = inverse_rms(row_of(token));
#end
#else
      let norm = 1.0;
#end
#if PAIRED
      finish(token, output_of(unit, 0u), norm, totals[2u * t], totals[2u * t + 1u]);
#else
      for (var i = 0u; i < PER_LANE; i++) {
        finish(token, output_of(unit, i), norm, totals[t * PER_LANE + i], (t * PER_LANE + i) * SET + local);
      }
#end
    }
  }
  conclude(first_token, workgroup.y * SET, local);
}
