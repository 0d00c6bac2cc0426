// The start of each sample's selection: min_p's threshold, from the largest of all logits. Probabilities of at least min_p
// times the largest are logits of at least the largest + temperature * log(min_p).
//
// maxima     [sample][CHUNKS] keys
// samples    [sample]: see src/kernels/step-inputs.ts
// selections [sample]

override CHUNKS: u32;

struct Counts {
  rows: u32, // here: samples
}

@group(0) @binding(0) var<storage, read> maxima: array<u32>;
@group(0) @binding(1) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(2) var<storage, read_write> selections: array<Selection>;
@group(0) @binding(3) var<uniform> counts: Counts;

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let sample = id.x;
  if (sample >= counts.rows || (samples[sample][1].w & FILTERED) == 0u) {
    return;
  }
  var key = 0u;
  for (var chunk = 0u; chunk < CHUNKS; chunk++) {
    key = max(key, maxima[sample * CHUNKS + chunk]);
  }
  let largest = bits_of_key(key);
  var threshold = 1u; // every number
  let distance = bitcast<f32>(samples[sample][3].z);
  if (distance <= 0.0) {
    threshold = max(1u, order_key(bitcast<u32>(bitcast<f32>(largest) + distance)));
  }
  selections[sample] = Selection(threshold, largest, 0u, 24u, vec2(0u));
}
