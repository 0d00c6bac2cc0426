// scores/: in a loop over a head's elements, with queries loaded when needed. For GPUs, which have few registers for each
// lane, and whose loads are cheap. The order of additions is that of scores/flat.

// Computes the scores of the split's tokens, and the maxima of those of the lane's quad.
fn score_tokens(lane: u32, table: u32, kv_head: u32, groups: u32) {
  let quad_lane = lane & 3u;
#for r in ROWS
  let query#r = first_queries[#r];
  var highest#r = vec4(LOWEST);
#end
  for (var first = 0u; first < groups; first += QUADS) {
    let group = first + lane / 4u;
    let token = 4u * min(group, groups - 1u);
    let head = cached_head(table, kv_head, token);
    let place = token & (BLOCK_SIZE - 1u);
    let key = key_at(head, place, quad_lane);
    let scale = score_scale(head, place + quad_lane);
#for r in ROWS
#for h in HEADS
    var dot#r_#h = vec4<f32>();
#end
#end
    for (var step = 0u; step < STEPS; step++) {
      let four = load_keys(key, step, quad_lane);
      let k0 = key_0(four);
      let k1 = key_1(four);
      let k2 = key_2(four);
      let k3 = key_3(four);
#for r in ROWS
#for b in 4
      let q#r_#b = query_of(query#r, step, #b, quad_lane);
#end
#for h in HEADS
      dot#r_#h = add4(dot#r_#h, k0, k1, k2, k3, vec4(q#r_0[#h], q#r_1[#h], q#r_2[#h], q#r_3[#h]));
#end
#end
    }
#for r in ROWS
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
