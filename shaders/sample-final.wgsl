// Sampling, second half: the best of the candidates becomes the slot's last token, which the next step's embedding and the
// read-back take. The lowest token id wins a tie.
//
// Where the sample has penalties, the token is counted, so that the later steps of the same plan include it.
//
// candidates   [sample][CANDIDATES]: (score as f32 bits, token)
// samples      [sample]: see src/kernels/step-inputs.ts
// last_tokens  [slot]
// token_counts [slot][VOCAB]: see penalties.wgsl

override VOCAB: u32;
override CANDIDATES: u32;
override LANES: u32; // a power of two

const LOWEST = -3.4e38;

@group(0) @binding(0) var<storage, read> candidates: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(2) var<storage, read_write> last_tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> token_counts: array<u32>;

var<workgroup> best_of_lanes: array<vec2<u32>, LANES>;

// The better of two candidates.
fn better(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let score_a = bitcast<f32>(a.x);
  let score_b = bitcast<f32>(b.x);
  return select(a, b, score_b > score_a || (score_b == score_a && b.y < a.y)); // mutation: tie
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let sample = workgroup.x;
  var best = vec2(bitcast<u32>(LOWEST), VOCAB);
  for (var i = lane; i < CANDIDATES; i += LANES) {
    best = better(best, candidates[sample * CANDIDATES + i]);
  }
  best_of_lanes[lane] = best;
  workgroupBarrier();
  for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) {
      best_of_lanes[lane] = better(best_of_lanes[lane], best_of_lanes[lane + stride]);
    }
    workgroupBarrier();
  }
  if (lane > 0u) {
    return;
  }
  let token = best_of_lanes[0].y;
  let slot = samples[sample][0].y;
  last_tokens[slot] = token;
  if ((samples[sample][1].w & PENALISED) != 0u && token < VOCAB) {
    token_counts[slot * VOCAB + token] += 1u;
  }
}
