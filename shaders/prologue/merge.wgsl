// prologue/: x is what attention has left of a row's splits, merged as it is read: to the same bits as attention-merge.
// x     [row][head][MAX_SPLITS][HEAD_SIZE / 4 + 1] of 4: see attention.wgsl
// rows  [row]: y is the position

override NUM_HEADS: u32;
override HEAD_SIZE: u32; // a multiple of 32
override MAX_SPLITS: u32;

const SPLIT = 128u; // attention.wgsl's

@group(0) @binding(8) var<uniform> rows: array<vec4<u32>, ROWS>;

fn has_split(row: u32, split: u32) -> bool {
  return split * SPLIT <= rows[row].y;
}

// Where a split's vector is, in elements; its largest score and sum of weights follow.
fn split_at(row: u32, head: u32, split: u32) -> u32 {
  return ((row * NUM_HEADS + head) * MAX_SPLITS + split) * (HEAD_SIZE + 4u);
}

// (largest score, sum of weights); of a split that is not there, what changes nothing.
fn max_and_sum_of(row: u32, head: u32, split: u32) -> vec2<f32> {
  let at = split_at(row, head, split) + HEAD_SIZE;
#if SUBGROUPS
  let both = vec2(x[at], x[at + 1u]);
#else
  let both = x[at / 4u].xy;
#end
  return select(vec2(-3.4e38, 0.0), both, has_split(row, split));
}
