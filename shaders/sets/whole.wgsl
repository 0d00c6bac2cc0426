// sets/, in matmul: k is one run, which a lane sums whole.
{
#for r in TILES
#for t in TOKENS
  var run_#r_#t = vec4<f32>();
#end
#end
  let first_group = 0u;
  for (var group = first_group; group < min(first_group + SLICE_GROUPS, groups); group++) {
#include PRODUCTS
  }
#for r in TILES
#for t in TOKENS
  total_#s_#r_#t += run_#r_#t;
#end
#end
}
