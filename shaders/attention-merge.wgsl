// Combines the splits of a row's context, in order, and normalises. attention.wgsl has finished the rows with one split.
//
// rows     [row]: y is the position, w see common/partials
// partials see common/partials
// y        [row][Y_STRIDE / 4] of 4: [head][HEAD_SIZE / 4], then padding

override NUM_HEADS: u32;
override HEAD_SIZE: u32;
override Y_STRIDE: u32; // a multiple of 4

const SPLIT = 128u; // attention.wgsl's

struct Counts {
  rows: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> counts: Counts;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.y;
  let head = id.x / (HEAD_SIZE / 4u);
  if (row >= counts.rows || head >= NUM_HEADS || rows[row].y < SPLIT) {
    return;
  }
  let element = id.x % (HEAD_SIZE / 4u);
  let maximum = HEAD_SIZE / 4u; // the place of maximum and sum in a partial result
  let splits = rows[row].y / SPLIT + 1u;
  var highest = -3.4e38;
  for (var split = 0u; split < splits; split++) {
    highest = max(highest, partials[partial_at(rows[row], split, head) + maximum].x);
  }
  var sum = 0.0;
  for (var split = 0u; split < splits; split++) {
    let max_and_sum = partials[partial_at(rows[row], split, head) + maximum];
    sum = multiply_add(exp(max_and_sum.x - highest), max_and_sum.y, sum);
  }
  var value = vec4<f32>();
  for (var split = 0u; split < splits; split++) {
    let at = partial_at(rows[row], split, head);
    let max_and_sum = partials[at + maximum];
    value = multiply_add4(partials[at + element], vec4(exp(max_and_sum.x - highest) / sum), value); // mutation: split-maximum
  }
  y[row * (Y_STRIDE / 4u) + head * (HEAD_SIZE / 4u) + element] = value;
}
