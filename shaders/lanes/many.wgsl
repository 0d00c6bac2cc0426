// lanes/: a workgroup is many quads, which share scores in workgroup memory.

// Kept small: an adapter may clear workgroup memory lane by lane.
var<workgroup> scores: array<f32, SCORES>; // [row][head][token]
var<workgroup> exchange: array<vec4<f32>, EXCHANGED>;

// Stores the score of token quad_lane of a group, for the row and head whose scores begin at 4 * `at`.
fn keep_score(at: u32, group: u32, groups: u32, quad_lane: u32, score: f32) {
  if (group < groups) {
    scores[4u * (at + group) + quad_lane] = score;
  }
}

fn score_of(at: u32, quad_lane: u32) -> f32 {
  return scores[4u * at + quad_lane];
}

fn await_scores() {
  workgroupBarrier();
}

// The maximum over quads of a value that is equal within each.
fn max_of_quads(lane: u32, value: vec4<f32>) -> vec4<f32> {
  workgroupBarrier();
  exchange[lane / 4u] = value;
  workgroupBarrier();
  var highest = exchange[0];
  for (var quad = 1u; quad < QUADS; quad++) {
    highest = max(highest, exchange[quad]);
  }
  return highest;
}
