// sets/, in matmul: a lane sums all slices of k, one after another.
for (var slice = 0u; slice < slices; slice++) {
  let first_group = slice * SLICE_GROUPS;
  let num_groups = min(SLICE_GROUPS, groups - first_group);
#include SLICE
#for r in TILES
#for t in TOKENS
  total_#s_#r_#t += slice_#r_#t;
#end
#end
}
