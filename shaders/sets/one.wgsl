// sets/, in matmul: a lane sums all slices of k, one after another.
for (var first_slice = 0u; first_slice < slices; first_slice += SPLITS) {
#for r in TILES
#for t in TOKENS
  var slice_#r_#t = vec4<f32>();
#end
#end
  let first_group = first_slice * SLICE_GROUPS;
  for (var group = first_group; group < min(first_group + SLICE_GROUPS, groups); group++) {
#include PRODUCTS
  }
#for r in TILES
#for t in TOKENS
  total_#s_#r_#t += slice_#r_#t;
#end
#end
}
