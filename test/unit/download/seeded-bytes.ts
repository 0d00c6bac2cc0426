/** Bytes that differ from place to place, the same for the same seed. */
export function seededBytes(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let index = 0; index < words.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[index] = state ^ (state >>> 13);
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** The same, but that they begin as a GGUF file does. */
export function seededFile(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = seededBytes(length, seed);
  bytes.set(new TextEncoder().encode('GGUF'));
  return bytes;
}

/** Where two byte sequences first differ; -1 where they are the same. (A matcher's deep look takes seconds a megabyte.) */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) if (a[index] !== b[index]) return index;
  return a.length === b.length ? -1 : length;
}
