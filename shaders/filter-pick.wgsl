// One pass of a radix selection, second half: the next digit of the key is the largest at which the measure, summed from
// the top, reaches the goal. After the last digit the key is the threshold: tokens that tie with it stay. Leaves the
// histogram at 0 and the selection ready for the next pass.
//
// samples    [sample]: see src/kernels/step-inputs.ts
// histograms [sample][256] of 64 bits
// selections [sample]

const GROUPS = 16u;
const GROUP_BINS = 16u;

@group(0) @binding(0) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(1) var<storage, read_write> histograms: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> selections: array<Selection>;

var<workgroup> groups: array<vec2<u32>, GROUPS>;

fn pick(sample: u32, first: u32, filters: vec4<u32>) {
  var selection = selections[sample];
  if (selection.shift == 24u) {
    var total = vec2(0u);
    for (var group = 0u; group < GROUPS; group++) {
      total = add64(total, groups[group]);
    }
    selection.goal = goal_of(total, filters);
  }
  var above = vec2(0u);
  var group = GROUPS - 1u;
  for (; group > 0u && less64(add64(above, groups[group]), selection.goal); group--) {
    above = add64(above, groups[group]);
  }
  var digit = group * GROUP_BINS + GROUP_BINS - 1u;
  for (; digit > group * GROUP_BINS && less64(add64(above, histograms[first + digit]), selection.goal); digit--) {
    above = add64(above, histograms[first + digit]);
  }
  selection.goal = subtract64(selection.goal, above); // mutation: remaining-goal
  selection.prefix |= digit << selection.shift;
  if (selection.shift > 0u) {
    selection.shift -= 8u;
  } else {
    selection.threshold = max(selection.threshold, selection.prefix);
    selection.prefix = 0u;
    selection.shift = 24u;
  }
  selections[sample] = selection;
}

@compute @workgroup_size(GROUPS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let sample = workgroup.x;
  let filters = samples[sample][3];
  if (!is_asked_for(filters)) {
    return;
  }
  let first = sample * GROUPS * GROUP_BINS;
  var sum = vec2(0u);
  for (var bin = 0u; bin < GROUP_BINS; bin++) {
    sum = add64(sum, histograms[first + lane * GROUP_BINS + bin]);
  }
  groups[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    pick(sample, first, filters);
  }
  storageBarrier();
  for (var bin = 0u; bin < GROUP_BINS; bin++) {
    histograms[first + lane * GROUP_BINS + bin] = vec2(0u);
  }
}
