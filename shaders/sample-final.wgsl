// Sampling, second half: the best of the chunks' candidates becomes the slot's last token, from where the next step's
// embedding and the read-back take it. The lowest token id wins a tie.
//
// Where the sample has penalties, the token is counted, so that a later step of the same plan knows of it.
//
// candidates   [sample][CHUNKS]: (score as f32 bits, token)
// samples      [sample]: see src/kernels/step-inputs.ts
// last_tokens  [slot]
// token_counts [slot][VOCAB]: see penalties.wgsl

override VOCAB: u32;
override CHUNKS: u32;

struct Counts {
  rows: u32, // here: samples
}

@group(0) @binding(0) var<storage, read> candidates: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(2) var<storage, read_write> last_tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> token_counts: array<u32>;
@group(0) @binding(4) var<uniform> counts: Counts;

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
  let slot = samples[sample][0].y;
  last_tokens[slot] = best.y;
  if ((samples[sample][1].w & PENALISED) != 0u && best.y < VOCAB) {
    token_counts[slot * VOCAB + best.y] += 1u;
  }
}
