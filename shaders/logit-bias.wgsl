// Adds each sample's logit_bias, in place.
//
// samples [sample]: see src/kernels/step-inputs.ts
// biases  [slot][MAX_BIASES]: (token, bias as f32 bits), each token at most once
// logits  [sample][LOGITS_STRIDE]

override VOCAB: u32;
override LOGITS_STRIDE: u32;
override MAX_BIASES: u32;

@group(0) @binding(0) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(1) var<storage, read> biases: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let sample = id.y;
  if (id.x >= samples[sample][1].z) {
    return;
  }
  let bias = biases[samples[sample][0].y * MAX_BIASES + id.x];
  if (bias.x < VOCAB) {
    logits[sample * LOGITS_STRIDE + bias.x] += bitcast<f32>(bias.y);
  }
}
