// Paged attention. One workgroup computes a tile of ROWS rows (tokens) of one request, one KV head with up to 4 of its query
// heads, and one split of the context. A split is a fixed SPLIT tokens. A decoding row is a tile of 1. The splits of a row
// with several are combined by attention-merge. A row with one split is finished here, whatever other rows a step has.
// Kwon et al., PagedAttention, 2023; split-KV as in Dao et al., Flash-Decoding, 2023.
//
// Every key and value is loaded once for all rows and heads of the tile. A quad of lanes takes 4 neighbouring tokens (a
// group) at a time. For the scores each lane has a quarter of the head's elements, and ends up with one token's sum. For
// the values each lane has one token's weight, passes it to the quad, and sums its own elements.
//
// The order of additions is fixed per row, whatever ROWS, CLASS_LANES, VECTOR_LANES and the slots are:
//   scores   elements of a lane in order, then (lane 0 + 1) + (2 + 3)
//   values   of the groups of a class (group % 4) in order, a group's tokens in the order k ^ (vector % 4), then classes in
//            order
//   weights  of a class's tokens t with the same t % 4 in order, then classes in order, then (0 + 1) + (2 + 3)
//
// Slots:
//   kv-read/  the cache's element type
//   quads/    how the lanes of a quad exchange values
//   lanes/    where scores are stored
//   classes/  how classes are summed
//   sizes     lengths of arrays, and constants that follow from the overrides: LANES, QUADS, GROUP (heads of a KV head),
//             BLOCK_SHIFT
//
// Directives repeat over ROWS; HEADS (of the 4); STEPS (HEAD_SIZE / 16, rounded up); VECTORS (HEAD_SIZE / 4 / VECTOR_LANES,
// rounded up). FLAT: queries are kept in registers.
//
// An adapter may execute both sides of every `if`, and may compile long texts slowly, so there are few of either.
//
// queries      [row][kv head][group / 4, rounded up][HEAD_SIZE] of 4 heads
// rows         [row]: y is the position, w the row of the block tables
// block_tables [request][MAX_BLOCKS]
// tiles        [tile]: first row, how many
// y            [row][Y_STRIDE / 4] of 4, [head][HEAD_SIZE / 4], then padding: of rows whose context is one split
// partials     [row][head][MAX_SPLITS][HEAD_SIZE / 4 + 1] of 4: of the other rows, for attention-merge: the sum of
//              exp(score - max) * value, then (max, sum, -, -)

override NUM_HEADS: u32;
override NUM_KV_HEADS: u32;
override HEAD_SIZE: u32; // a multiple of 4
override BLOCK_SIZE: u32; // a power of two, at least 4
override MAX_BLOCKS: u32;
override MAX_SPLITS: u32;
override Y_STRIDE: u32; // a multiple of 4
override SCALE: f32;
override CLASS_LANES: u32; // 1 or 4: the number of lanes that a vector's classes are divided among
override VECTOR_LANES: u32; // a multiple of 4: the number of lanes that the vectors are divided among

const SPLIT = 128u; // tokens
const GROUPS = SPLIT / 4u;
const LOWEST = -3.4e38;

@group(0) @binding(0) var<storage, read> queries: array<vec4<f32>, QUERIES>;
@group(0) @binding(3) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> block_tables: array<u32>;
@group(0) @binding(5) var<storage, read> tiles: array<vec2<u32>>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec4<f32>, PARTIALS>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4<f32>>;

// By row, from the tile's last on: for each head, the largest score, and the sum of the lane's weights.
var<private> maxima: array<vec4<f32>, ROWS>;
var<private> sums: array<vec4<f32>, ROWS>;
var<private> outputs: array<vec4<f32>, OUTPUTS>; // [row][head][vector of this lane]

fn is_finite(value: vec4<f32>) -> bool {
  return all((bitcast<vec4<u32>>(value) & vec4(0x7f800000u)) != vec4(0x7f800000u));
}

// A vector of a row's head, where the sum of the weights is `sum`.
fn write_output(at: u32, value: vec4<f32>, is_lone: bool, sum: f32) {
  if (is_lone) {
    y[at] = value / sum;
  } else {
    partials[at] = value;
  }
}

// 4 heads' queries: the element that a quad's lane takes as the b-th of 4 in a step.
fn query_of(query: u32, step: u32, b: u32, quad_lane: u32) -> vec4<f32> {
  let element = element_of(step, b, quad_lane);
  return select(vec4<f32>(), queries[query + min(element, HEAD_SIZE - 1u)] * KEY_UNITS[b], element < HEAD_SIZE);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let tile = tiles[workgroup.x];
  let fours = (GROUP + 3u) / 4u;
  let kv_head = workgroup.y / fours;
  let four = workgroup.y % fours;
  let start = workgroup.z * SPLIT;
  let last = rows[tile.x + tile.y - 1u];
  if (start > last.y) {
    return;
  }
  let groups = (min(SPLIT, last.y + 1u - start) + 3u) / 4u;
  let table = last.w * MAX_BLOCKS + (start >> BLOCK_SHIFT);
  let quad_lane = lane & 3u;

  var last_count = 0u;
  // Rows from the tile's last to its first, so that each has no more tokens than the one before. If there are fewer than
  // ROWS, the first is repeated.
#for r in ROWS
  let row#r = tile.x + max(tile.y, #r + 1u) - (#r + 1u);
  let count#r = min(max(rows[row#r].y + 1u, start) - start, SPLIT); // mutation: causal-mask
  let query#r = ((row#r * NUM_KV_HEADS + kv_head) * fours + four) * HEAD_SIZE;
#if FLAT
#for i in STEPS
#for b in 4
  let q#r_#i_#b = query_of(query#r, #i, #b, quad_lane);
#end
#end
#end
#for h in HEADS
  var highest#r_#h = LOWEST;
#end
  last_count = count#r;
#end

  for (var first = 0u; first < groups; first += QUADS) {
    let group = first + lane / 4u;
    let token = 4u * min(group, groups - 1u);
    let head = block_tables[table + (token >> BLOCK_SHIFT)] * NUM_KV_HEADS + kv_head;
    let place = token & (BLOCK_SIZE - 1u);
    let key = key_at(head, place, quad_lane);
    let scale = SCALE * key_scale(head, place + quad_lane); // mutation: score-scale
#if FLAT
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
      + k#i_0 * q#r_#i_0[#h] + k#i_1 * q#r_#i_1[#h] + k#i_2 * q#r_#i_2[#h] + k#i_3 * q#r_#i_3[#h]
#end
    ;
#end
#end
#else
#for r in ROWS
#for h in HEADS
    var dot#r_#h = vec4<f32>();
#end
#end
    for (var step = 0u; step < (HEAD_SIZE + 15u) / 16u; step++) {
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
      dot#r_#h = dot#r_#h + k0 * q#r_0[#h] + k1 * q#r_1[#h] + k2 * q#r_2[#h] + k3 * q#r_3[#h];
#end
#end
    }
#end
#for r in ROWS
    {
      let sums = scatter_sums(
        lane,
#for h in HEADS
        dot#r_#h,
#end
      ) * scale;
      let is_own = 4u * group + quad_lane < count#r;
#for h in HEADS
      keep_score((#r * HEADS + #h) * GROUPS, group, groups, quad_lane, sums[#h]);
#end
#for h in HEADS
      highest#r_#h = max(highest#r_#h, select(LOWEST, sums[#h], is_own));
#end
    }
#end
  }

#for r in ROWS
#for h in HEADS
  maxima[#r][#h] = highest#r_#h;
#end
#end
  for (var r = 0u; r < ROWS; r++) {
    maxima[r] = max_of_quads(lane, quad_max(lane, maxima[r]));
  }
#for r in ROWS
  let maxima#r = maxima[#r];
#end
  await_scores();

  let vectors = HEAD_SIZE / 4u; // of a head
  let own_vector = lane % VECTOR_LANES;
#for j in VECTORS
  let vector#j = min(own_vector + #j * VECTOR_LANES, vectors - 1u);
#end

  // A weight of 0 does not remove a later row's value that is NaN or infinite. So from the first such value on this lane
  // reuses the value before it; rows that may see it become NaN.
  var seen = count0;
#if SEVERAL_ROWS
  for (var token = last_count; token < count0; token++) {
    let head = block_tables[table + (token >> BLOCK_SHIFT)] * NUM_KV_HEADS + kv_head;
    let value = value_at(head, token & (BLOCK_SIZE - 1u));
#for j in VECTORS
    seen = select(min(seen, token), seen, is_finite(load_value(value, vector#j)));
#end
  }
#end
  let last_token = max(seen, 1u) - 1u; // mutation: last-token

#for r in ROWS
  let start_total#r = bitcast<f32>(select(0u, 0x7fc00000u, count#r > seen));
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
      let block = block_tables[table + ((4u * group) >> BLOCK_SHIFT)];
      let head = block * NUM_KV_HEADS + kv_head;
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
        let w = weights_of(at, quad_lane, maxima#r[#h], tokens, count#r);
        class_sum#r_#h += w.x;
#for j in VECTORS
        output#r_#h_#j = output#r_#h_#j + v0_#j * w.x + v1_#j * w.y + v2_#j * w.z + v3_#j * w.w;
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
  let heads = min(HEADS, GROUP - 4u * four);
  for (var r = 0u; r < tile.y; r++) {
    let row = tile.x + tile.y - 1u - r;
    let position = rows[row].y;
    let is_lone = position < SPLIT;
    let row_heads = select(0u, heads, position >= start);
    let head = kv_head * GROUP + four * 4u;
    let partial_at = ((row * NUM_HEADS + head) * MAX_SPLITS + workgroup.z) * (vectors + 1u);
    let partial_stride = MAX_SPLITS * (vectors + 1u);
    let at = select(partial_at, row * (Y_STRIDE / 4u) + head * vectors, is_lone);
    let head_stride = select(partial_stride, vectors, is_lone);
    let sum = sum_of_lanes(lane, own_vector, sums[r]);
    for (var j = 0u; j < VECTORS; j++) {
      write_outputs(lane, own_vector, r, j, row_heads, at, head_stride, is_lone, sum);
    }
    for (var h = lane; h < select(row_heads, 0u, is_lone); h += LANES) {
      partials[partial_at + h * partial_stride + vectors] = vec4(maxima[r][h], sum[h], 0.0, 0.0);
    }
  }
}
