// sets/, in matmul: each of SPLITS sets of lanes sums a slice of k, and the first set adds the slices, in order. ROUNDS: there are
// more slices than sets.
#if ROUNDS
for (var first_slice = 0u; first_slice < slices; first_slice += SPLITS) {
#else
{
  const first_slice = 0u;
#end
  let first_group = (first_slice + split) * SLICE_GROUPS;
  // As many for every lane, since they swap x. Groups past the end add nothing.
  let num_groups = SLICE_GROUPS;
#include SLICE
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
}
