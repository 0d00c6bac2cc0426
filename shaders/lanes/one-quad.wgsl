// lanes/: a workgroup is one quad, so every lane needs only the scores that it has computed: no workgroup memory, no
// barrier. With quads/subgroup only.

var<private> scores: array<f32, SCORES / 4u>; // [row][head][group]: of the lane's token

// Stores the score of token quad_lane of a group, for the row and head whose scores begin at 4 * `at`.
fn keep_score(at: u32, group: u32, groups: u32, quad_lane: u32, score: f32) {
  scores[at + group] = score;
}

fn score_of(at: u32, quad_lane: u32) -> f32 {
  return scores[at];
}

fn await_scores() {}

// The maximum over quads of a value that is equal within each.
fn max_of_quads(lane: u32, value: vec4<f32>) -> vec4<f32> {
  return value;
}
