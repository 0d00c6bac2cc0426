// top_k: every token counts 1; selects the k largest.

fn is_asked_for(filters: vec4<u32>) -> bool {
  return filters.x != 0u;
}

fn measure(_bits: u32, _largest: u32, _filters: vec4<u32>) -> u32 {
  return 1u;
}

fn goal_of(_total: vec2<u32>, filters: vec4<u32>) -> vec2<u32> {
  return vec2(filters.x, 0u);
}
