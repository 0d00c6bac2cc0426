// slices/, in matmul: the sum of a slice, where each of its runs is one group.
#for r in TILES
#for t in TOKENS
var slice_#r_#t = vec4<f32>();
#end
#end
for (var i = 0u; i < num_groups; i++) {
#for r in TILES
#for t in TOKENS
  var run_#r_#t = vec4<f32>();
#end
#end
  let group = first_group + i;
#include PRODUCTS
#for r in TILES
#for t in TOKENS
  slice_#r_#t += run_#r_#t; // mutation: single-runs
#end
#end
}
