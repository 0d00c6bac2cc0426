// epilogue/: y is the logits of the samples. Also writes the best candidate of each 32 neighbours, by common/draw: the first
// half of sampling, for logits that no op changes.
// logits      [sample][LOGITS_STRIDE / 4] of 4, written from OUTPUT_OFFSET on. Elements past the vocabulary are never drawn.
// candidates  [sample][CANDIDATES]: (score as f32 bits, token)

override CANDIDATES: u32;
override VOCAB: u32;
override LOGITS_STRIDE: u32; // VOCAB rounded up to a multiple of 4
override OUTPUT_OFFSET: u32; // a multiple of 64

@group(0) @binding(4) var<storage, read> squares: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> logits: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> candidates: array<vec2<u32>>;

var<workgroup> best_of_lanes: array<vec2<u32>, TOKENS * PER_LANE * SET>; // [token][tile][lane]

fn finish(token: u32, output: u32, norm: f32, total: vec4<f32>, place: u32) {
  var score = LOWEST;
  var best = VOCAB;
  if (token < counts.rows && output < OUTPUTS) {
    let value = norm * total;
    let first = OUTPUT_OFFSET + output;
    logits[(token * LOGITS_STRIDE + first) / 4u] = value;
    let temperature = bitcast<f32>(samples[token][1].y);
    let key = noise_key(samples[token][0], samples[token][1]);
    for (var i = 0u; i < 4u; i++) {
      let other = score_of(value[i], temperature, key, first + i);
      if (other > score && first + i < VOCAB) {
        score = other;
        best = first + i;
      }
    }
  }
  best_of_lanes[place] = vec2(bitcast<u32>(score), best);
}

// The best of 8 lanes; the first wins a tie.
fn conclude(first_token: u32, first_unit: u32, local: u32) {
  workgroupBarrier();
  for (var place = 8u * local; place < TOKENS * PER_LANE * SET; place += 8u * WORKGROUP) {
    var best = best_of_lanes[place];
    for (var i = 1u; i < 8u; i++) {
      let other = best_of_lanes[place + i];
      if (bitcast<f32>(other.x) > bitcast<f32>(best.x)) {
        best = other;
      }
    }
    let token = first_token + place / (SET * PER_LANE);
    let output = output_of(first_unit + place % SET, (place / SET) % PER_LANE);
    if (token < counts.rows && output < OUTPUTS) {
      candidates[token * CANDIDATES + (OUTPUT_OFFSET + output) / 32u] = best; // mutation: candidate-place
    }
  }
}
