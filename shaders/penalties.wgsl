// Repetition, frequency and presence penalties, in place, as in vLLM: first the repetition penalty on tokens of the prompt
// or the output (Keskar et al., CTRL, 2019: divided where positive, else multiplied), then OpenAI's two on tokens of the
// output.
//
// samples      [sample]: see src/kernels/step-inputs.ts
// token_counts [slot][VOCAB]: the number of times that the output has the token; the top bit: whether the prompt has it
// logits       [sample][LOGITS_STRIDE]

override VOCAB: u32;
override LOGITS_STRIDE: u32;

const IN_PROMPT = 0x80000000u;

@group(0) @binding(0) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(1) var<storage, read> token_counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = id.x;
  let sample = id.y;
  if (token >= VOCAB || (samples[sample][1].w & PENALISED) == 0u) {
    return;
  }
  let seen = token_counts[samples[sample][0].y * VOCAB + token];
  if (seen == 0u) {
    return;
  }
  let penalties = bitcast<vec4<f32>>(samples[sample][2]); // repetition, frequency, presence
  var logit = logits[sample * LOGITS_STRIDE + token];
  logit = select(logit * penalties.x, logit / penalties.x, logit > 0.0); // mutation: negative-logit
  let count = seen & ~IN_PROMPT;
  if (count > 0u) {
    logit = logit - penalties.y * f32(count) - penalties.z;
  }
  logits[sample * LOGITS_STRIDE + token] = logit;
}
