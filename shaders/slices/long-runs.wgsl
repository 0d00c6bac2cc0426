// slices/, in matmul: the sum of a slice, whose runs have several groups; the last run may have fewer.
#for r in TILES
#for t in TOKENS
var slice_#r_#t = vec4<f32>();
var run_#r_#t = vec4<f32>();
#end
#end
for (var i = 0u; i < num_groups; i++) {
  if (i % RUN_GROUPS == 0u) {
#for r in TILES
#for t in TOKENS
    slice_#r_#t += run_#r_#t; // mutation: long-runs
    run_#r_#t = vec4<f32>();
#end
#end
  }
  let group = first_group + i;
#include PRODUCTS
}
#for r in TILES
#for t in TOKENS
slice_#r_#t += run_#r_#t;
#end
#end
