/**
 * Frees the memory of a buffer that nobody will look at again. A garbage collector is late with buffers: to it they are
 * small objects, and tens of megabytes may wait. Views of it are empty from then on. Where a browser cannot (before 2024,
 * mostly), the buffer is left to the collector.
 */
export function freeBuffer(buffer: ArrayBuffer): void {
  const { transfer } = buffer as { readonly transfer?: (newLength: number) => ArrayBuffer };
  if (buffer.byteLength > 0) transfer?.call(buffer, 0);
}
