// sets/, in matmul: a lane sums all slices of k, one after another. LONG_RUNS: a run has several groups.
for (var slice = 0u; slice < slices; slice++) {
#for r in TILES
#for t in TOKENS
  var slice_#r_#t = vec4<f32>();
#if LONG_RUNS
  var run_#r_#t = vec4<f32>();
#end
#end
#end
  let first_group = slice * SLICE_GROUPS;
  for (var i = 0u; i < min(SLICE_GROUPS, groups - first_group); i++) {
#if LONG_RUNS
    if (i % RUN_GROUPS == 0u) {
#for r in TILES
#for t in TOKENS
      slice_#r_#t += run_#r_#t; // mutation: runs-of-one-set
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
    let group = first_group + i;
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
  total_#s_#r_#t += slice_#r_#t;
#end
#end
}
