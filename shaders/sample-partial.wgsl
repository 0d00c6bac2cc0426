// Sampling, first half: the best candidate of each CHUNK of the vocabulary. Greedy at temperature 0; else by the Gumbel-max
// trick (argmax of logit / temperature + Gumbel noise is a draw from the softmax; Gumbel, 1954), with noise that is a pure
// function of (seed, choice, position, token), so a resumed or re-batched request draws the same token. Where top_k, top_p
// or min_p are asked for, among the tokens that they leave: with the same noise, so a filter moves no other draw.
//
// logits     [sample][VOCAB]
// samples    [sample]: see src/kernels/step-inputs.ts
// selections [sample]: what the filters have found
// candidates [sample][chunk]: (score as f32 bits, token)

override VOCAB: u32;
override CHUNK: u32;
override CHUNKS: u32;

const LANES = 64u;
const LOWEST = -3.4e38;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(2) var<storage, read> selections: array<Selection>;
@group(0) @binding(3) var<storage, read_write> candidates: array<vec2<u32>>;

var<workgroup> best_scores: array<f32, LANES>;
var<workgroup> best_tokens: array<u32, LANES>;

// PCG-RXS-M-XS, as a hash (Jarzynski and Olano, Hash Functions for GPU Rendering, 2020).
fn hash(value: u32) -> u32 {
  let state = value * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

// -log(-log(1 - v)) for v uniform in (0, 1). The draws that win have v near 0, where WGSL allows log(1 - v) an absolute
// error of 2^-21: enough to make it 0 and the noise infinite. So -log(1 - v) is v + v^2 / 2 + v^3 / 3 + ... there.
fn gumbel(key: u32, token: u32) -> f32 {
  let v = (f32(hash(key ^ hash(token)) >> 9u) + 0.5) * 0x1p-23;
  let series = v * (1.0 + v * (1.0 / 2.0 + v * (1.0 / 3.0 + v * (1.0 / 4.0 + v / 5.0))));
  return -log(select(-log(1.0 - v), series, v < 0x1p-4));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let chunk = workgroup.x;
  let sample = workgroup.y;
  let temperature = bitcast<f32>(samples[sample][1].y);
  let key = hash(samples[sample][0].z ^ hash(samples[sample][0].w ^ hash(samples[sample][1].x)));
  var threshold = 0u; // every key
  if ((samples[sample][1].w & FILTERED) != 0u) {
    threshold = selections[sample].threshold;
  }
  var score = LOWEST;
  var best = VOCAB;
  let end = min(VOCAB, (chunk + 1u) * CHUNK);
  for (var token = chunk * CHUNK + lane; token < end; token += LANES) {
    var value = logits[sample * VOCAB + token];
    let order = order_key(bitcast<u32>(value));
    if (temperature > 0.0) {
      value = value / temperature + gumbel(key, token);
    }
    if (value > score && order >= threshold) {
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
  if (lane == 0u) {
    candidates[sample * CHUNKS + chunk] = vec2(bitcast<u32>(best_scores[0]), best_tokens[0]);
  }
}
