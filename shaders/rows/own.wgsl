// rows/: a token's row of x is its own.

fn row_of(token: u32) -> u32 {
  return token;
}
