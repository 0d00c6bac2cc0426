// rows/: a token is its own row of x.

fn row_of(token: u32) -> u32 {
  return token;
}
