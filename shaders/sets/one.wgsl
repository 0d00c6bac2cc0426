// sets/, in matmul: a lane sums all slices of k, one after another.
for (var slice = 0u; slice < slices; slice++) {
#for r in TILES
#for t in TOKENS
  var slice_#r_#t = vec4<f32>();
  var run_#r_#t = vec4<f32>();
#end
#end
  let first_group = slice * SLICE_GROUPS;
  for (var i = 0u; i < min(SLICE_GROUPS, groups - first_group); i++) {
    if (i % RUN_GROUPS == 0u) {
#for r in TILES
#for t in TOKENS
      slice_#r_#t += run_#r_#t; // mutation: runs-of-one-set
      run_#r_#t = vec4<f32>();
#end
#end
    }
    let group = first_group + i;
#include PRODUCTS
  }
#for r in TILES
#for t in TOKENS
  total_#s_#r_#t += slice_#r_#t + run_#r_#t;
#end
#end
}
