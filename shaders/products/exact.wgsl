// products/, in matmul: a group of 32 k, added to the run. Products are in f32 of x as it is: k in order, 4 at a time, each 4
// in the lane's own order (see matmul). The whole group is then scaled.
#for t in TOKENS
let x_at_#t = row_at_#t + group * GROUP_X;
#for r in TILES
var part_#r_#t = Part();
#end
#end
#for r in TILES
let word_at_#r = ((tile_#s_#r * K + group * 32u) / WORD_K) * LANES + lane;
#end
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
      part_#r_#t = multiply_add4(a_#r, vec4(xa), part_#r_#t);
      part_#r_#t = multiply_add4(b_#r, vec4(xb), part_#r_#t);
      part_#r_#t = multiply_add4(c_#r, vec4(xc), part_#r_#t);
      part_#r_#t = multiply_add4(d_#r, vec4(xd), part_#r_#t);
#end
    }
#end
  }
#end
}
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
#if HAS_MINIMUM
  let next_#t = run_#r_#t + multiply_add4(scale, part_#r_#t, minimum * x_total(x_sum_#t));
#else
#if HAS_SCALE
  let next_#t = multiply_add4(scale, part_#r_#t, run_#r_#t);
#else
  let next_#t = run_#r_#t + part_#r_#t;
#end
#end
#if SPLIT
  run_#r_#t = select(run_#r_#t, next_#t, group < groups); // mutation: slices-past-k
#else
  run_#r_#t = next_#t;
#end
#end
}
#end
