// The order of logits as the order of integers, which a radix selection can search.

// The state of a sample's selection: tokens whose keys are below the threshold cannot be drawn.
struct Selection {
  threshold: u32, // a key
  largest: u32, // the largest logit, as f32 bits
  prefix: u32, // the digits of the key found so far, the rest 0
  shift: u32, // the position of the next digit: key >> shift & 255
  goal: vec2<u32>, // the measure still to be found, from the top, among keys with that prefix; 64 bits (low, high)
}

// f32 bits as a key: an integer with the same order. -0 is 0; NaN has key 0, below all numbers.
fn order_key(bits: u32) -> u32 {
  if (bits << 1u > 0xff000000u) {
    return 0u;
  }
  return select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
}

// The f32 bits of a key other than 0.
fn bits_of_key(key: u32) -> u32 {
  return select(~key, key & 0x7fffffffu, key >= 0x80000000u);
}
