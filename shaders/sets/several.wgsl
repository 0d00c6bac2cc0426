// sets/, in matmul: each of SPLITS sets of lanes sums a slice of k, and the first set adds the slices, in order. ROUNDS: there are
// more slices than sets. LONG_RUNS: a run has several groups.
#if ROUNDS
for (var first_slice = 0u; first_slice < slices; first_slice += SPLITS) {
#else
{
  const first_slice = 0u;
#end
#for r in TILES
#for t in TOKENS
  var slice_#r_#t = vec4<f32>();
#if LONG_RUNS
  var run_#r_#t = vec4<f32>();
#end
#end
#end
  // The same number of iterations for every lane, since they swap x. Iterations past the end add nothing.
  for (var i = 0u; i < SLICE_GROUPS; i++) {
#if LONG_RUNS
    if (i % RUN_GROUPS == 0u) {
#for r in TILES
#for t in TOKENS
      slice_#r_#t += run_#r_#t; // mutation: runs-of-several-sets
      run_#r_#t = vec4<f32>();
#end
#end
    }
#else
#for r in TILES
#for t in TOKENS
    var run_#r_#t = vec4<f32>();
#end
#end
#end
    let group = (first_slice + split) * SLICE_GROUPS + i;
#include PRODUCTS
#if LONG_RUNS
#else
#for r in TILES
#for t in TOKENS
    slice_#r_#t += run_#r_#t;
#end
#end
#end
  }
#if LONG_RUNS
#for r in TILES
#for t in TOKENS
  slice_#r_#t += run_#r_#t;
#end
#end
#end
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
