// before-rope/: nothing.

fn prepare(at: u32, head: u32, lane: u32) {}

fn prepared(at: u32, head: u32, element: u32) -> f32 {
  return qkv[at + element];
}
