// element/: one INT4 weight (see quant/int4.wgsl for the layout); with scales/.

const WORD_K = 8u;

fn element(word: u32, k: u32, lane: u32, scale_at: u32, component: u32) -> f32 {
  let place = (k % WORD_K) ^ (lane & 3u);
  let q = ((word ^ 0x80000000u) >> (4u * place)) & 0xfu;
  return f32(q) * group_scale(scale_at)[component] + group_minimum(scale_at)[component];
}
