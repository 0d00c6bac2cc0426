// products/, in matmul: a group of 32 k, added to the run. x is quantised: a group has a scale of its own, and its sum, of
// products in integers or f16, is scaled in f32.
#for t in TOKENS
let x_at_#t = row_at_#t + group * GROUP_X;
#for r in TILES
var part_#r_#t = Part();
#end
#end
#for r in TILES
let word_at_#r = ((tile_#s_#r * K + group * 32u) / WORD_K) * LANES + lane;
#end
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
    part_#r_#t = with_product(part_#r_#t, operand_#r_#w_#o, quad[#w * WORD_OPERANDS + #o]);
#end
#end
#end
  }
#end
}
#for t in TOKENS
let x_scale_#t = bitcast<vec2<f32>>(x[x_at_#t + X_VECTORS].xy);
#end
#for r in TILES
{
  let scale = group_scale((tile_#s_#r * groups + group) * LANES + lane);
#if HAS_MINIMUM
  let minimum = minimum_of(scale, group_minimum((tile_#s_#r * groups + group) * LANES + lane));
#end
#for t in TOKENS
#if HAS_MINIMUM
  let scaled_#t = multiply_add4(scale, sum_of(part_#r_#t), minimum * x_scale_#t.y);
#else
  let scaled_#t = scale * sum_of(part_#r_#t);
#end
  let next_#t = multiply_add4(vec4(x_scale_#t.x), scaled_#t, run_#r_#t);
#if SPLIT
  run_#r_#t = select(run_#r_#t, next_#t, group < groups); // mutation: quantised-slices-past-k
#else
  run_#r_#t = next_#t;
#end
#end
}
#end
