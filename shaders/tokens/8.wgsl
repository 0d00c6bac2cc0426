// tokens/: a lane carries 8 tokens.

const TOKENS = 8u;

// Four outputs of each token.
struct Tile {
  t0: vec4<f32>,
  t1: vec4<f32>,
  t2: vec4<f32>,
  t3: vec4<f32>,
  t4: vec4<f32>,
  t5: vec4<f32>,
  t6: vec4<f32>,
  t7: vec4<f32>,
}

struct XSums {
  t0: XSum,
  t1: XSum,
  t2: XSum,
  t3: XSum,
  t4: XSum,
  t5: XSum,
  t6: XSum,
  t7: XSum,
}

// What a group of k adds up to.
struct Part {
  products: Tile,
  x: XSums,
}

fn tile_add(a: Tile, b: Tile) -> Tile {
  return Tile(
    a.t0 + b.t0,
    a.t1 + b.t1,
    a.t2 + b.t2,
    a.t3 + b.t3,
    a.t4 + b.t4,
    a.t5 + b.t5,
    a.t6 + b.t6,
    a.t7 + b.t7,
  );
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
  let x4 = load_x(x_at + 4u * K);
  (*part).products.t4 = multiply_add((*part).products.t4, v, x4.quad);
  (*part).x.t4 += x4.share;
  let x5 = load_x(x_at + 5u * K);
  (*part).products.t5 = multiply_add((*part).products.t5, v, x5.quad);
  (*part).x.t5 += x5.share;
  let x6 = load_x(x_at + 6u * K);
  (*part).products.t6 = multiply_add((*part).products.t6, v, x6.quad);
  (*part).x.t6 += x6.share;
  let x7 = load_x(x_at + 7u * K);
  (*part).products.t7 = multiply_add((*part).products.t7, v, x7.quad);
  (*part).x.t7 += x7.share;
}

fn scaled(part: Part, scale: vec4<f32>) -> Tile {
  return Tile(
    scale * part.products.t0,
    scale * part.products.t1,
    scale * part.products.t2,
    scale * part.products.t3,
    scale * part.products.t4,
    scale * part.products.t5,
    scale * part.products.t6,
    scale * part.products.t7,
  );
}

fn scaled_with_min(part: Part, scale: vec4<f32>, minimum: vec4<f32>) -> Tile {
  return Tile(
    scale * part.products.t0 + minimum * x_total(part.x.t0),
    scale * part.products.t1 + minimum * x_total(part.x.t1),
    scale * part.products.t2 + minimum * x_total(part.x.t2),
    scale * part.products.t3 + minimum * x_total(part.x.t3),
    scale * part.products.t4 + minimum * x_total(part.x.t4),
    scale * part.products.t5 + minimum * x_total(part.x.t5),
    scale * part.products.t6 + minimum * x_total(part.x.t6),
    scale * part.products.t7 + minimum * x_total(part.x.t7),
  );
}

fn tile_store(tile: Tile, first_token: u32, output: u32) {
  store(first_token, output, tile.t0);
  store(first_token + 1u, output, tile.t1);
  store(first_token + 2u, output, tile.t2);
  store(first_token + 3u, output, tile.t3);
  store(first_token + 4u, output, tile.t4);
  store(first_token + 5u, output, tile.t5);
  store(first_token + 6u, output, tile.t6);
  store(first_token + 7u, output, tile.t7);
}
