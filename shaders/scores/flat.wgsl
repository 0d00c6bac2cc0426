// scores/: unrolled over a head's elements, with queries in private memory. For software adapters, where loads from buffers
// cost most: with 4 rows and heads of 64, attention takes 4/7 of the time with scores/looped on SwiftShader.

// [row][step][head] of the lane's 4 elements of a step
var<private> q: array<array<array<vec4<f32>, HEADS>, STEPS>, ROWS>;

// Computes the scores of the split's tokens, and the maxima of those of the lane's quad.
fn score_tokens(lane: u32, table: u32, kv_head: u32, groups: u32) {
  let quad_lane = lane & 3u;
  // In loops: unrolled, these loads were half of what SwiftShader compiled.
  for (var r = 0u; r < ROWS; r++) {
    for (var i = 0u; i < STEPS; i++) {
#for b in 4
      let q#b = query_of(first_queries[r], i, #b, quad_lane);
#end
#for h in HEADS
      q[r][i][#h] = vec4(q0[#h], q1[#h], q2[#h], q3[#h]);
#end
    }
  }
#for r in ROWS
  var highest#r = vec4(LOWEST);
#end
  for (var first = 0u; first < groups; first += QUADS) {
    let group = first + lane / 4u;
    let token = 4u * min(group, groups - 1u);
    let head = cached_head(table, kv_head, token);
    let place = token & (BLOCK_SIZE - 1u);
    let key = key_at(head, place, quad_lane);
    let scale = score_scale(head, place + quad_lane);
#for i in STEPS
    let keys#i = load_keys(key, #i, quad_lane);
    let k#i_0 = key_0(keys#i);
    let k#i_1 = key_1(keys#i);
    let k#i_2 = key_2(keys#i);
    let k#i_3 = key_3(keys#i);
#end
#for r in ROWS
#for h in HEADS
    let dot#r_#h = vec4<f32>()
#for i in STEPS
      + k#i_0 * q[#r][#i][#h].x + k#i_1 * q[#r][#i][#h].y + k#i_2 * q[#r][#i][#h].z + k#i_3 * q[#r][#i][#h].w
#end
    ;
#end
    highest#r = max(highest#r, keep_scores(
      lane, #r, group, groups, scale,
#for h in HEADS
      dot#r_#h,
#end
    ));
#end
  }
#for r in ROWS
  maxima[#r] = highest#r;
#end
}
