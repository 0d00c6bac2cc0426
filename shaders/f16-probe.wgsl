// The conversions of dot/f16.wgsl that not every compiler with f16 knows.
enable f16;

@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(1)
fn main() {
  let bits = bitcast<vec4<u32>>(y[0]);
  y[0] = vec4<f32>(bitcast<vec2<f16>>(bits.x).xyxy) + vec4<f32>(bitcast<vec4<f16>>(bits.zw));
}
