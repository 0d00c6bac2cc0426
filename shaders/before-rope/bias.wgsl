// before-rope/: biases.
// bias  [NUM_HEADS + 2 * NUM_KV_HEADS heads][HEAD_SIZE]

@group(0) @binding(7) var<storage, read> bias: array<f32>;

fn prepare(at: u32, head: u32, lane: u32) {}

fn prepared(at: u32, head: u32, element: u32) -> f32 {
  return qkv[at + element] + bias[head * HEAD_SIZE + element];
}
