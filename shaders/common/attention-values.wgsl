// attention.wgsl's second half: weights from scores, and sums of values times weights.

fn is_finite(value: vec4<f32>) -> bool {
  return all((bitcast<vec4<u32>>(value) & vec4(0x7f800000u)) != vec4(0x7f800000u));
}

// The first token with a NaN or an infinity in the lane's part of its value, of those that some of the tile's rows attend to
// and others do not; counts[0] where there is none.
fn first_not_finite(own_vector: u32, table: u32, kv_head: u32) -> u32 {
  var seen = counts[0];
#if SEVERAL_ROWS
  for (var token = counts[ROWS - 1u]; token < counts[0]; token++) {
    let head = cached_head(table, kv_head, token);
    let value = value_at(head, token & (BLOCK_SIZE - 1u));
    for (var j = 0u; j < VECTORS; j++) {
      let vector = min(own_vector + j * VECTOR_LANES, HEAD_SIZE / 4u - 1u);
      seen = select(min(seen, token), seen, is_finite(load_value(value, vector)));
    }
  }
#end
  return seen;
}

// Computes for every row and head the lane's `sums` of weights, and `outputs`, of values times weights.
fn sum_values(lane: u32, table: u32, kv_head: u32, groups: u32) {
  let quad_lane = lane & 3u;
  let own_vector = lane % VECTOR_LANES;
  // A weight of 0 does not remove a later row's value that is NaN or infinite. So from the first such value on this lane
  // reuses the value before it; rows that may see it become NaN.
  let seen = first_not_finite(own_vector, table, kv_head);
  let last_token = max(seen, 1u) - 1u; // mutation: last-token
#for j in VECTORS
  let vector#j = min(own_vector + #j * VECTOR_LANES, HEAD_SIZE / 4u - 1u);
#end
#for r in ROWS
  let start_total#r = bitcast<f32>(select(0u, 0x7fc00000u, counts[#r] > seen));
#for h in HEADS
  var sum#r_#h = 0.0;
#for j in VECTORS
  var total#r_#h_#j = vec4(start_total#r);
#end
#end
#end
  for (var share = 0u; share < 4u; share += CLASS_LANES) {
#for r in ROWS
#for h in HEADS
    var class_sum#r_#h = 0.0;
#for j in VECTORS
    var output#r_#h_#j = vec4<f32>();
#end
#end
#end
    for (var first = share; first < groups; first += 4u) {
      let own = first + lane / VECTOR_LANES; // group; none where there are fewer
      let group = min(own, last_token / 4u);
      let head = cached_head(table, kv_head, 4u * group);
      let place = (4u * group) & (BLOCK_SIZE - 1u);
      let tokens = vec4(4u * own) + (vec4(0u, 1u, 2u, 3u) ^ vec4(quad_lane));
      let places = min(tokens, vec4(last_token)) - vec4(4u * group - place);
#for k in 4
      let value#k = value_at(head, places[#k]);
#end
#for j in VECTORS
#for k in 4
      let v#k_#j = load_value(value#k, vector#j);
#end
#end
#for r in ROWS
#for h in HEADS
      {
        let at = (#r * HEADS + #h) * GROUPS + min(own, groups - 1u);
        let w = weights_of(at, quad_lane, maxima[#r][#h], tokens, counts[#r]);
        class_sum#r_#h += w.x;
#for j in VECTORS
        output#r_#h_#j = add4(output#r_#h_#j, v0_#j, v1_#j, v2_#j, v3_#j, w);
#end
      }
#end
#end
    }
#for r in ROWS
#for h in HEADS
    sum#r_#h += class_sum#r_#h;
#for j in VECTORS
    total#r_#h_#j += output#r_#h_#j;
#end
#end
#end
  }

#for r in ROWS
#for h in HEADS
  sums[#r][#h] = sum#r_#h;
#for j in VECTORS
  outputs[(#r * HEADS + #h) * VECTORS + #j] = total#r_#h_#j;
#end
#end
#end
}
