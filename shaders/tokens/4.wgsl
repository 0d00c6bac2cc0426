// tokens/: a lane carries 4 tokens.

const TOKENS = 4u;

// Four outputs of each token.
struct Tile {
  t0: vec4<f32>,
  t1: vec4<f32>,
  t2: vec4<f32>,
  t3: vec4<f32>,
}

struct XSums {
  t0: XSum,
  t1: XSum,
  t2: XSum,
  t3: XSum,
}

// What a group of k adds up to.
struct Part {
  products: Tile,
  x: XSums,
}

fn tile_add(a: Tile, b: Tile) -> Tile {
  return Tile(a.t0 + b.t0, a.t1 + b.t1, a.t2 + b.t2, a.t3 + b.t3);
}

// Adds the products of 4 neighbouring k. `scale` undoes the powers of two that the weights still carry.
fn add_quad(part: ptr<function, Part>, w: Quad, x_at: u32, scale: vec4<f32>) {
  let v = Quad(w.k0 * scale.x, w.k1 * scale.y, w.k2 * scale.z, w.k3 * scale.w);
  let x0 = load_x(x_at);
  (*part).products.t0 = multiply_add((*part).products.t0, v, x0.quad);
  (*part).x.t0 += x0.share;
  let x1 = load_x(x_at + K);
  (*part).products.t1 = multiply_add((*part).products.t1, v, x1.quad);
  (*part).x.t1 += x1.share;
  let x2 = load_x(x_at + 2u * K);
  (*part).products.t2 = multiply_add((*part).products.t2, v, x2.quad);
  (*part).x.t2 += x2.share;
  let x3 = load_x(x_at + 3u * K);
  (*part).products.t3 = multiply_add((*part).products.t3, v, x3.quad);
  (*part).x.t3 += x3.share;
}

fn scaled(part: Part, scale: vec4<f32>) -> Tile {
  return Tile(
    scale * part.products.t0,
    scale * part.products.t1,
    scale * part.products.t2,
    scale * part.products.t3,
  );
}

fn scaled_with_min(part: Part, scale: vec4<f32>, minimum: vec4<f32>) -> Tile {
  return Tile(
    scale * part.products.t0 + minimum * x_total(part.x.t0),
    scale * part.products.t1 + minimum * x_total(part.x.t1),
    scale * part.products.t2 + minimum * x_total(part.x.t2),
    scale * part.products.t3 + minimum * x_total(part.x.t3),
  );
}

fn tile_store(tile: Tile, first_token: u32, output: u32) {
  store(first_token, output, tile.t0);
  store(first_token + 1u, output, tile.t1);
  store(first_token + 2u, output, tile.t2);
  store(first_token + 3u, output, tile.t3);
}
