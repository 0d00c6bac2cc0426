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
//   scores/   how scores are computed: flat, for software adapters, or looped, for GPUs
//   common/attention-values, common/partials, with no others in their place: how weights and values are summed, and where
//             partial results are
//   multiply-add/  how products are added
//   sizes     lengths of arrays, and constants that follow from the overrides: LANES, QUADS, GROUP (heads of a KV head),
//             BLOCK_SHIFT
//
// Directives, here and in the slots, repeat over ROWS; HEADS (of the 4); STEPS (HEAD_SIZE / 16, rounded up); VECTORS
// (HEAD_SIZE / 4 / VECTOR_LANES, rounded up). They unroll the work on every group of tokens, whose variables have names. The
// work on a whole split is in loops and arrays: these are shorter, and an adapter may compile long texts slowly.
//
// An adapter may execute both sides of every `if`, so there are few.
//
// queries      [row][kv head][group / 4, rounded up][HEAD_SIZE] of 4 heads
// rows         [row]: y is the position, w see common/partials
// block_tables [request][MAX_BLOCKS]
// tiles        [tile]: first row, how many
// y            [row][Y_STRIDE / 4] of 4, [head][HEAD_SIZE / 4], then padding: of rows whose context is one split
// partials     of the other rows, for attention-merge: see common/partials

override NUM_HEADS: u32;
override NUM_KV_HEADS: u32;
override HEAD_SIZE: u32; // a multiple of 4
override BLOCK_SIZE: u32; // a power of two, at least 4
override MAX_BLOCKS: u32;
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

// By row, from the tile's last on, so that each has no more tokens than the one before.
var<private> counts: array<u32, ROWS>; // tokens of the split that the row attends to
var<private> first_queries: array<u32, ROWS>; // where the row's queries are
var<private> maxima: array<vec4<f32>, ROWS>; // for each head, the largest score
var<private> sums: array<vec4<f32>, ROWS>; // for each head, the sum of the lane's weights
var<private> outputs: array<vec4<f32>, OUTPUTS>; // [row][head][vector of this lane]

// A vector of a row's head, where the sum of the weights is `sum`.
fn write_output(at: u32, value: vec4<f32>, is_lone: bool, sum: f32) {
  if (is_lone) {
    y[at] = divided(value, sum);
  } else {
    partials[at] = value;
  }
}

// 4 heads' queries: the element that a quad's lane takes as the b-th of 4 in a step.
fn query_of(query: u32, step: u32, b: u32, quad_lane: u32) -> vec4<f32> {
  let element = element_of(step, b, quad_lane);
  return select(vec4<f32>(), queries[query + min(element, HEAD_SIZE - 1u)] * KEY_UNITS[b], element < HEAD_SIZE);
}

// A token of the split: its block and KV head, as an index of heads of the cache.
fn cached_head(table: u32, kv_head: u32, token: u32) -> u32 {
  return block_tables[table + (token >> BLOCK_SHIFT)] * NUM_KV_HEADS + kv_head;
}

// The factor of the product of a query with a token's key.
fn score_scale(head: u32, place: u32) -> f32 {
  return SCALE * key_scale(head, place); // mutation: score-scale
}

// From the lanes' products of a row's queries, one for each head, with a group's keys: the scores of the group's tokens. Keeps
// them, and returns those of the lane's token, or LOWEST where the row does not attend to it.
fn keep_scores(
  lane: u32,
  r: u32,
  group: u32,
  groups: u32,
  scale: f32,
#for h in HEADS
  dot#h: vec4<f32>,
#end
) -> vec4<f32> {
  let quad_lane = lane & 3u;
  let sums = scale * scatter_sums(
    lane,
#for h in HEADS
    dot#h,
#end
  );
#for h in HEADS
  keep_score((r * HEADS + #h) * GROUPS, group, groups, quad_lane, sums[#h]);
#end
  return select(vec4(LOWEST), sums, 4u * group + quad_lane < counts[r]);
}

// Writes the results of a row's first heads: finished ones where its context is one split, else partial ones.
fn write_row(lane: u32, row: u32, r: u32, split: u32, first_head: u32, heads: u32) {
  let vectors = HEAD_SIZE / 4u; // of a head
  let own_vector = lane % VECTOR_LANES;
  let is_lone = rows[row].y < SPLIT;
  let partial = partial_at(rows[row], split, first_head);
  let at = select(partial, row * (Y_STRIDE / 4u) + first_head * vectors, is_lone);
  let head_stride = select(vectors + 1u, vectors, is_lone);
  let sum = sum_of_lanes(lane, own_vector, sums[r]);
  for (var j = 0u; j < VECTORS; j++) {
    write_outputs(lane, own_vector, r, j, heads, at, head_stride, is_lone, sum);
  }
  for (var h = lane; h < select(heads, 0u, is_lone); h += LANES) {
    partials[partial + h * (vectors + 1u) + vectors] = vec4(maxima[r][h], sum[h], 0.0, 0.0);
  }
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
  let table = table_of(last) * MAX_BLOCKS + (start >> BLOCK_SHIFT);
  // If the tile has fewer than ROWS rows, the first is repeated.
  for (var r = 0u; r < ROWS; r++) {
    let row = tile.x + max(tile.y, r + 1u) - (r + 1u);
    counts[r] = min(max(rows[row].y + 1u, start) - start, SPLIT); // mutation: causal-mask
    first_queries[r] = ((row * NUM_KV_HEADS + kv_head) * fours + four) * HEAD_SIZE;
  }
  score_tokens(lane, table, kv_head, groups);
  for (var r = 0u; r < ROWS; r++) {
    maxima[r] = max_of_quads(lane, quad_max(lane, maxima[r]));
  }
  await_scores();
  sum_values(lane, table, kv_head, groups);
  let heads = min(HEADS, GROUP - 4u * four);
  for (var r = 0u; r < tile.y; r++) {
    let row = tile.x + tile.y - 1u - r;
    write_row(lane, row, r, workgroup.z, kv_head * GROUP + four * 4u, select(0u, heads, rows[row].y >= start));
  }
}
