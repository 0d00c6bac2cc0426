// Fills a buffer with pseudo-random words, for check/compare. A word is a hash of its place and of a seed, of which some bits
// are kept and some are set. Words of which none of the bits of `nonzero` is in the hash are 0 or -0.

struct Settings {
  seed: u32,
  kept: u32, // bits of the hash
  fixed: u32, // bits that are 1 in every word
  nonzero: u32,
}

@group(0) @binding(0) var<uniform> settings: Settings;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

fn scrambled(i: u32) -> u32 {
  var x = i ^ (settings.seed * 0x9e3779b9u);
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var i = id.x; i < arrayLength(&words); i += groups.x * 64u) {
    let hash = scrambled(i);
    let is_zero = settings.nonzero != 0u && (hash & settings.nonzero) == 0u;
    words[i] = select((hash & settings.kept) | settings.fixed, hash & 0x80000000u, is_zero);
  }
}
