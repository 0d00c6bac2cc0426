// element/: one INT4 weight (see quant/int4.wgsl for the layout); with scales/.

const WORD_K = 8u;

fn element(word: u32, k: u32, lane: u32, scale_at: u32, component: u32) -> f32 {
  let place = (k % WORD_K) ^ (lane & 3u);
  let q = ((word ^ 0x80000000u) >> (4u * place)) & 0xfu;
  let group = scale_and_min(scale_at);
  return f32(q) * group.scale[component] + group.minimum[component];
}
