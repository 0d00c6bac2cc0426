// element/: one INT4 weight of words packed in bytes (see quant/dp4a-int4.wgsl); with scales/.

const WORD_K = 8u;

fn element(word: u32, k: u32, lane: u32, scale_at: u32, component: u32) -> f32 {
  let place = 2u * (k % 4u) + (k / 4u) % 2u;
  let q = (word >> (4u * place)) & 0xfu;
  return f32(q) * group_scale(scale_at)[component] + group_minimum(scale_at)[component];
}
