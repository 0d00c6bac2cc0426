// tokens/: a lane carries 1 token.

const TOKENS = 1u;

// Four outputs of each token.
struct Tile {
  t0: vec4<f32>,
}

struct XSums {
  t0: XSum,
}

// What a group of k adds up to.
struct Part {
  products: Tile,
  x: XSums,
}

fn tile_add(a: Tile, b: Tile) -> Tile {
  return Tile(a.t0 + b.t0);
}

// Adds the products of 4 neighbouring k. `scale` undoes the powers of two that the weights still carry.
fn add_quad(part: ptr<function, Part>, w: Quad, x_at: u32, scale: vec4<f32>) {
  let x0 = load_x(x_at);
  (*part).products.t0 = multiply_add((*part).products.t0, w, x0.quad * scale);
  (*part).x.t0 += x0.share;
}

fn scaled(part: Part, scale: vec4<f32>) -> Tile {
  return Tile(scale * part.products.t0);
}

fn scaled_with_min(part: Part, scale: vec4<f32>, minimum: vec4<f32>) -> Tile {
  return Tile(scale * part.products.t0 + minimum * x_total(part.x.t0));
}

fn tile_store(tile: Tile, first_token: u32, output: u32) {
  store(first_token, output, tile.t0);
}
