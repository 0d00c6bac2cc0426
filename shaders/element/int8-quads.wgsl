// element/: one INT8 weight (see quant/int8.wgsl for the layout); with scales/.

const WORD_K = 4u;

fn element(word: u32, k: u32, lane: u32, scale_at: u32, component: u32) -> f32 {
  let place = (k % WORD_K) ^ (lane & 3u);
  let unsigned_bytes = word ^ 0x80000000u; // every byte as q + 128
  let q = (unsigned_bytes >> (8u * place)) & 0xffu;
  return (f32(q) - 128.0) * group_scale(scale_at)[component];
}
