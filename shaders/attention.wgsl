// Paged attention, first half: one workgroup attends for one row (token), one KV head with its group of query heads,
// and one split of the context. A split is a fixed SPLIT tokens, so a row's numbers depend on its own context alone.
// Kwon et al., PagedAttention, 2023; split-KV as in Dao et al., Flash-Decoding, 2023.
//
// Rows of any number of requests, prefilling or decoding, run side by side: each looks its request's blocks up.
// Up to 4 query heads of the group are computed at once, one in each component of a vec4, so that each key and value is
// loaded once for all of them.
//
// queries      [row][kv head][group / 4, rounded up][HEAD_SIZE] of 4 heads
// keys         see kv-read/: neighbouring lanes read neighbouring tokens
// values       see kv-read/: neighbouring lanes read neighbouring elements
// rows         [row]: y is the position, w the row of the block tables
// block_tables [request][MAX_BLOCKS]
// partials     [row][head][MAX_SPLITS][HEAD_SIZE / 4 + 1] of 4: the sum of exp(score - max) * value, then (max, sum, -, -)

override NUM_HEADS: u32;
override NUM_KV_HEADS: u32;
override HEAD_SIZE: u32; // a multiple of 4, at most 256
override BLOCK_SIZE: u32; // a multiple of 4
override MAX_BLOCKS: u32;
override MAX_SPLITS: u32;
override SCALE: f32;
override LANES: u32; // a power of two, at least HEAD_SIZE / 4
override SHARED_OUTPUTS: u32; // 4 * LANES where lanes share a head's vectors, else 1

const SPLIT = 128u; // tokens
const LOWEST = -3.4e38;

@group(0) @binding(0) var<storage, read> queries: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> block_tables: array<u32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;

// Kept small: an adapter may clear workgroup memory lane by lane.
var<workgroup> weights: array<vec4<f32>, SPLIT>; // [token] of 4 heads: scores, then exp(score - max)
var<workgroup> lane_values: array<vec4<f32>, LANES>;
var<workgroup> outputs: array<vec4<f32>, SHARED_OUTPUTS>; // [head][lane]

// The largest of the lanes' values, for every lane.
fn max_of_lanes(lane: u32, value: vec4<f32>) -> vec4<f32> {
  lane_values[lane] = value;
  workgroupBarrier();
  for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) {
      lane_values[lane] = max(lane_values[lane], lane_values[lane + stride]);
    }
    workgroupBarrier();
  }
  return lane_values[0];
}

// The sum of the lanes' values, for every lane.
fn sum_of_lanes(lane: u32, value: vec4<f32>) -> vec4<f32> {
  lane_values[lane] = value;
  workgroupBarrier();
  for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) {
      lane_values[lane] += lane_values[lane + stride];
    }
    workgroupBarrier();
  }
  return lane_values[0];
}

// The dot products of 4 heads' queries with the keys of 4 neighbouring tokens: a token each, a head in each component.
struct Dots {
  a: vec4<f32>,
  b: vec4<f32>,
  c: vec4<f32>,
  d: vec4<f32>,
}

// One element of the 4 heads' queries, and of the 4 tokens' keys.
fn add_product(dots: ptr<function, Dots>, query: vec4<f32>, key: vec4<f32>) {
  (*dots).a += query * key.x;
  (*dots).b += query * key.y;
  (*dots).c += query * key.z;
  (*dots).d += query * key.w;
}

// The scores of 4 neighbouring tokens, written to weights; returns the largest.
fn score(token: u32, count: u32, query: u32, head: u32) -> vec4<f32> {
  let dots = dot_keys(head, (token % BLOCK_SIZE) / 4u, query);
  let a = dots.a * SCALE;
  let b = dots.b * SCALE;
  let c = dots.c * SCALE;
  let d = dots.d * SCALE;
  weights[token] = a;
  weights[token + 1u] = b;
  weights[token + 2u] = c;
  weights[token + 3u] = d;
  return max(
    max(a, select(a, b, token + 1u < count)),
    max(select(a, c, token + 2u < count), select(a, d, token + 3u < count)),
  );
}

struct MaxAndSum {
  highest: vec4<f32>,
  sum: vec4<f32>,
}

// Fills weights; returns the 4 heads' largest scores and their sums of weights.
fn weigh(lane: u32, table: u32, kv_head: u32, count: u32, query: u32) -> MaxAndSum {
  var highest = vec4(LOWEST);
  for (var token = 4u * lane; token < count; token += 4u * LANES) {
    let block = block_tables[table + token / BLOCK_SIZE];
    highest = max(highest, score(token, count, query, block * NUM_KV_HEADS + kv_head));
  }
  highest = max_of_lanes(lane, highest);
  workgroupBarrier();
  var sum = vec4<f32>();
  for (var token = lane; token < count; token += LANES) {
    let weight = exp(weights[token] - highest);
    weights[token] = weight;
    sum += weight;
  }
  return MaxAndSum(highest, sum_of_lanes(lane, sum));
}

// The 4 heads' weighted sums of values: a head each, an element in each component.
struct Output {
  a: vec4<f32>,
  b: vec4<f32>,
  c: vec4<f32>,
  d: vec4<f32>,
}

// Sums every `shares`-th token of each block, from `share` on, for one vector of the head's elements.
fn weighted_values(share: u32, shares: u32, vector: u32, table: u32, kv_head: u32, count: u32) -> Output {
  var output = Output();
  for (var start = 0u; start < count; start += BLOCK_SIZE) {
    let block = block_tables[table + start / BLOCK_SIZE];
    for (var i = share; i < min(BLOCK_SIZE, count - start); i += shares) {
      let w = weights[start + i];
      let v = value_of(block * NUM_KV_HEADS + kv_head, i, vector);
      output.a += w.x * v;
      output.b += w.y * v;
      output.c += w.z * v;
      output.d += w.w * v;
    }
  }
  return output;
}

// Adds up what lanes with different shares have of the same vector, in order, and writes it.
fn write_shared(lane: u32, output: Output, heads: u32, shares: u32, at: u32, head_stride: u32) {
  let vectors = HEAD_SIZE / 4u;
  outputs[lane] = output.a;
  outputs[LANES + lane] = output.b;
  outputs[2u * LANES + lane] = output.c;
  outputs[3u * LANES + lane] = output.d;
  workgroupBarrier();
  for (var i = lane; i < heads * vectors; i += LANES) {
    let head = i / vectors;
    var sum = vec4<f32>();
    for (var share = 0u; share < shares; share++) {
      sum += outputs[head * LANES + share * vectors + i % vectors];
    }
    partials[at + head * head_stride + i % vectors] = sum;
  }
}

// Every lane has a vector of its own.
fn write_own(lane: u32, output: Output, heads: u32, at: u32, head_stride: u32) {
  partials[at + lane] = output.a;
  if (heads > 1u) {
    partials[at + head_stride + lane] = output.b;
  }
  if (heads > 2u) {
    partials[at + 2u * head_stride + lane] = output.c;
  }
  if (heads > 3u) {
    partials[at + 3u * head_stride + lane] = output.d;
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = workgroup.x;
  let kv_head = workgroup.y;
  let split = workgroup.z;
  let context = rows[row].y + 1u;
  if (split * SPLIT >= context) {
    return;
  }
  let count = min(SPLIT, context - split * SPLIT);
  let table = rows[row].w * MAX_BLOCKS + split * (SPLIT / BLOCK_SIZE);
  let group = NUM_HEADS / NUM_KV_HEADS;
  let vectors = HEAD_SIZE / 4u; // of a head
  let shares = LANES / vectors; // that the tokens are divided into
  let share = lane / vectors;
  let head_stride = MAX_SPLITS * (vectors + 1u);

  for (var first = 0u; first < group; first += 4u) {
    let heads = min(4u, group - first);
    let query = ((row * NUM_KV_HEADS + kv_head) * ((group + 3u) / 4u) + first / 4u) * HEAD_SIZE;
    let max_and_sum = weigh(lane, table, kv_head, count, query);
    workgroupBarrier();
    var output = Output();
    if (share < shares) {
      output = weighted_values(share, shares, lane % vectors, table, kv_head, count);
    }
    let at = ((row * NUM_HEADS + kv_head * group + first) * MAX_SPLITS + split) * (vectors + 1u);
    if (SHARED_OUTPUTS > 1u) {
      write_shared(lane, output, heads, shares, at, head_stride);
    } else {
      write_own(lane, output, heads, at, head_stride);
    }
    if (lane < heads) {
      let of_head = vec4(max_and_sum.highest[lane], max_and_sum.sum[lane], 0.0, 0.0);
      partials[at + lane * head_stride + vectors] = of_head;
    }
    workgroupBarrier();
  }
}
