// Sampling, first half: the best candidate of each CHUNK of the vocabulary, by common/draw. With top_k, top_p or min_p, the
// best of the tokens that pass. The noise is the same, so a filter changes no other draw.
//
// epilogue/logits does the same when the logits are computed. This kernel is for logits that have changed since, or are
// filtered, and handles every sample again.
//
// logits     [sample][LOGITS_STRIDE]
// samples    [sample]: see src/kernels/step-inputs.ts
// selections [sample]: the filters' results
// candidates [sample][CANDIDATES]: (score as f32 bits, token), one for 32 tokens; a chunk's best is written to all of its own

override VOCAB: u32;
override LOGITS_STRIDE: u32;
override CHUNK: u32;
override CANDIDATES: u32;

const LANES = 64u;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(2) var<storage, read> selections: array<Selection>;
@group(0) @binding(3) var<storage, read_write> candidates: array<vec2<u32>>;

var<workgroup> best_scores: array<f32, LANES>;
var<workgroup> best_tokens: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let chunk = workgroup.x;
  let sample = workgroup.y;
  let temperature = bitcast<f32>(samples[sample][1].y);
  let key = noise_key(samples[sample][0], samples[sample][1]);
  var threshold = 0u; // every key
  if ((samples[sample][1].w & FILTERED) != 0u) {
    threshold = selections[sample].threshold;
  }
  var score = LOWEST;
  var best = VOCAB;
  let end = min(VOCAB, (chunk + 1u) * CHUNK);
  for (var token = chunk * CHUNK + lane; token < end; token += LANES) {
    let logit = logits[sample * LOGITS_STRIDE + token];
    let value = score_of(logit, temperature, key, token);
    if (value > score && order_key(bitcast<u32>(logit)) >= threshold) {
      score = value;
      best = token;
    }
  }
  best_scores[lane] = score;
  best_tokens[lane] = best;
  workgroupBarrier();
  for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) {
      let other = best_scores[lane + stride];
      let other_token = best_tokens[lane + stride];
      if (other > best_scores[lane] || (other == best_scores[lane] && other_token < best_tokens[lane])) {
        best_scores[lane] = other;
        best_tokens[lane] = other_token;
      }
    }
    workgroupBarrier();
  }
  let at = chunk * (CHUNK / 32u) + lane;
  if (lane < CHUNK / 32u && at < CANDIDATES) {
    let none = vec2(bitcast<u32>(LOWEST), VOCAB);
    candidates[sample * CANDIDATES + at] = select(none, vec2(bitcast<u32>(best_scores[0]), best_tokens[0]), lane == 0u);
  }
}
