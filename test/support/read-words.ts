/** All words of these buffers, one buffer after the other. They need COPY_SRC. */
export async function readWords(device: GPUDevice, buffers: readonly GPUBuffer[]): Promise<Uint32Array<ArrayBuffer>> {
  const bytes = buffers.reduce((sum, { size }) => sum + size, 0);
  const staging = device.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  let at = 0;
  for (const buffer of buffers) {
    encoder.copyBufferToBuffer(buffer, 0, staging, at, buffer.size);
    at += buffer.size;
  }
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const words = new Uint32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return words;
}
