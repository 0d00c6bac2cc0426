// The largest logit of each CHUNK of the vocabulary, for the samples with top_k, top_p or min_p.
//
// logits  [sample][LOGITS_STRIDE] f32, as their bits
// samples [sample]: see src/kernels/step-inputs.ts
// maxima  [sample][chunk] keys

override VOCAB: u32;
override LOGITS_STRIDE: u32;
override CHUNK: u32;
override CHUNKS: u32;
override LANES: u32;

@group(0) @binding(0) var<storage, read> logits: array<u32>;
@group(0) @binding(1) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(2) var<storage, read_write> maxima: array<u32>;

var<workgroup> largest: atomic<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let chunk = workgroup.x;
  let sample = workgroup.y;
  if ((samples[sample][1].w & FILTERED) == 0u) {
    return;
  }
  var key = 0u;
  let end = min(VOCAB, (chunk + 1u) * CHUNK);
  for (var token = chunk * CHUNK + lane; token < end; token += LANES) {
    key = max(key, order_key(logits[sample * LOGITS_STRIDE + token]));
  }
  atomicMax(&largest, key);
  workgroupBarrier();
  if (lane == 0u) {
    maxima[sample * CHUNKS + chunk] = atomicLoad(&largest);
  }
}
