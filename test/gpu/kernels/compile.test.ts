import { afterAll, beforeAll, expect, test } from 'vitest';
import { defineKernel } from '../../../src/gpu/kernel.ts';
import { type Gpu, openGpu } from '../../../src/gpu/device.ts';
import { OpBuilder } from '../../../src/gpu/op.ts';

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.device.destroy());

const KERNEL = defineKernel({ name: 'kernel', bindings: { y: 'read_write' }, overrides: ['SIZE'] });
const KERNEL_FILE = {
  path: 'shaders/kernel.wgsl',
  text: `
override SIZE: u32;
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1)
fn main() {
  y[0] = slot() + SIZE;
}
`,
};
const slotFile = (text: string) => ({ path: 'shaders/slot/a.wgsl', text });

/** What ready() says of this slot. */
async function fault(slot: string): Promise<unknown> {
  const builder = new OpBuilder(gpu.device);
  builder.variant(KERNEL, [KERNEL_FILE, slotFile(slot)], { SIZE: 3 });
  return builder.ready().then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('a right slot compiles', async () => {
  expect(await fault('fn slot() -> u32 { return 1u; }')).toBeUndefined();
});

test('a compile error is reported at the file and line it is in', async () => {
  const error = await fault('// a comment\n\nfn slot() -> u32 {\n  return 1.5f;\n}');
  expect(error).toMatchObject({ code: 'internal', message: expect.stringMatching(/shaders\/slot\/a\.wgsl:4: /) });
});

test('so it is behind an enable directive, which is moved to the top', async ({ skip }) => {
  if (!gpu.device.features.has('subgroups')) skip('this adapter has no subgroups');
  const error = await fault('// a comment\nenable subgroups;\nfn slot() -> u32 {\n  return nowhere;\n}');
  expect(error).toMatchObject({ message: expect.stringMatching(/shaders\/slot\/a\.wgsl:4: .*nowhere/) });
});

test('what the kernel’s own file lacks is reported there', async () => {
  const error = await fault('fn another() -> u32 { return 1u; }');
  expect(error).toMatchObject({ message: expect.stringMatching(/shaders\/kernel\.wgsl:6: .*slot/) });
});

test('bindings that the shader does not have fail too', async () => {
  const builder = new OpBuilder(gpu.device);
  const wrong = defineKernel({ name: 'wrong', bindings: { y: 'read' }, overrides: ['SIZE'] });
  builder.variant(wrong, [KERNEL_FILE, slotFile('fn slot() -> u32 { return 1u; }')], { SIZE: 3 });
  await expect(builder.ready()).rejects.toMatchObject({ code: 'internal' });
});
