// Sampling, second half: the best of the chunks' candidates becomes the slot's last token, from where the next step's
// embedding and the read-back take it. The lowest token id wins a tie.
//
// candidates  [sample][CHUNKS]: (score as f32 bits, token)
// samples     [sample]: (row, slot, seed, choice), ...
// last_tokens [slot]

override CHUNKS: u32;

struct Counts {
  rows: u32, // here: samples
}

@group(0) @binding(0) var<storage, read> candidates: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> samples: array<array<vec4<u32>, 2>>;
@group(0) @binding(2) var<storage, read_write> last_tokens: array<u32>;
@group(0) @binding(3) var<uniform> counts: Counts;

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let sample = id.x;
  if (sample >= counts.rows) {
    return;
  }
  var best = candidates[sample * CHUNKS];
  for (var chunk = 1u; chunk < CHUNKS; chunk++) {
    let candidate = candidates[sample * CHUNKS + chunk];
    if (bitcast<f32>(candidate.x) > bitcast<f32>(best.x)) {
      best = candidate;
    }
  }
  last_tokens[samples[sample][0].y] = best.y;
}
