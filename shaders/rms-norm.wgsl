// RMSNorm: y[r][i] = x[s][i] / sqrt(mean of x[s]^2 + EPSILON) * weight[i], one workgroup a row.
// s is r, or samples[r].x where GATHER: then only the rows to be sampled are normalised.

override SIZE: u32;
override EPSILON: f32;
override GATHER: bool;
override LANES: u32; // a power of two

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> samples: array<array<vec4<u32>, 4>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = workgroup.x;
  var source = row;
  if (GATHER) {
    source = samples[row][0].x;
  }
  var sum = 0.0;
  for (var i = lane; i < SIZE; i += LANES) {
    let value = x[source * SIZE + i];
    sum += value * value;
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
    if (lane < stride) {
      sums[lane] += sums[lane + stride];
    }
    workgroupBarrier();
  }
  let scale = 1.0 / sqrt(sums[0] / f32(SIZE) + EPSILON);
  for (var i = lane; i < SIZE; i += LANES) {
    y[row * SIZE + i] = x[source * SIZE + i] * scale * weight[i];
  }
}
