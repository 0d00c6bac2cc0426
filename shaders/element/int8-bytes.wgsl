// element/: one INT8 weight of words packed in bytes (see quant/dp4a-int8.wgsl); with scales/.

const WORD_K = 4u;

fn element(word: u32, k: u32, lane: u32, scale_at: u32, component: u32) -> f32 {
  let q = extractBits(bitcast<i32>(word), 8u * (k % WORD_K), 8u);
  return f32(q) * group_scale(scale_at)[component];
}
