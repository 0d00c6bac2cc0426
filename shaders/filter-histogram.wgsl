// One pass of a radix selection, first half: the sum of a measure (tokens, or mass) for each value of the next 8 bits of
// the keys, over the tokens that are still candidates and have the digits found so far. The sums are integers, so the
// order in which lanes add does not matter.
//
// logits     [sample][LOGITS_STRIDE] f32, as their bits
// samples    [sample]: see src/kernels/step-inputs.ts
// selections [sample]
// histograms [sample][256] of 64 bits; all 0 before

override VOCAB: u32;
override LOGITS_STRIDE: u32;
override CHUNK: u32;
override LANES: u32;

const BINS = 256u;

struct Sum {
  low: atomic<u32>,
  high: atomic<u32>,
}

@group(0) @binding(0) var<storage, read> logits: array<u32>;
@group(0) @binding(1) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(2) var<storage, read> selections: array<Selection>;
@group(0) @binding(3) var<storage, read_write> histograms: array<Sum>;

var<workgroup> lows: array<atomic<u32>, BINS>;
var<workgroup> highs: array<atomic<u32>, BINS>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let chunk = workgroup.x;
  let sample = workgroup.y;
  let filters = samples[sample][3];
  if (!is_asked_for(filters)) {
    return;
  }
  let threshold = selections[sample].threshold;
  let largest = selections[sample].largest;
  let prefix = selections[sample].prefix;
  let shift = selections[sample].shift;
  let end = min(VOCAB, (chunk + 1u) * CHUNK);
  for (var token = chunk * CHUNK + lane; token < end; token += LANES) {
    let bits = logits[sample * LOGITS_STRIDE + token];
    let key = order_key(bits);
    let digits = (key ^ prefix) >> shift; // the higher ones are 0 where they equal the prefix
    if (key >= threshold && digits < BINS) {
      let amount = measure(bits, largest, filters);
      let before = atomicAdd(&lows[digits], amount);
      if (before + amount < before) {
        atomicAdd(&highs[digits], 1u);
      }
    }
  }
  workgroupBarrier();
  for (var bin = lane; bin < BINS; bin += LANES) {
    let low = atomicLoad(&lows[bin]);
    let high = atomicLoad(&highs[bin]);
    if ((low | high) != 0u) {
      let before = atomicAdd(&histograms[sample * BINS + bin].low, low);
      atomicAdd(&histograms[sample * BINS + bin].high, high + select(0u, 1u, before + low < before));
    }
  }
}
