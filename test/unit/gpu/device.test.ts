import { expect, test } from 'vitest';
import { missingSupport } from '../../../src/client/support.ts';
import { WEBGPU_BROWSERS } from '../../../src/core/webgpu-browsers.ts';
import { openGpu } from '../../../src/gpu/device.ts';

const gpuWithoutAdapter = { requestAdapter: async () => null } as unknown as GPU;

test('where the worker has no WebGPU, it says that it is the worker', async () => {
  const message = expect.stringMatching(/worker.*navigator\.gpu.*Chrome.*Safari.*Firefox/s);
  await expect(openGpu(undefined)).rejects.toMatchObject({ code: 'webgpu_unavailable', message });
});

test('where the browser has WebGPU and no adapter, browsers that have it are no advice', async () => {
  const error: unknown = await openGpu(gpuWithoutAdapter).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'webgpu_unavailable', message: expect.stringContaining('offers no GPU') });
  expect(String(error)).not.toContain('Firefox');
});

test('page and worker name the same browsers', async () => {
  const page = missingSupport({ isSecureContext: true, origin: '', navigator: { locks: {} } });
  const worker = String(await openGpu(undefined).catch((reason: unknown) => reason));
  for (const { browser, from } of WEBGPU_BROWSERS) {
    expect(page).toContain(`${browser} from ${from}`);
    expect(worker).toContain(`${browser} from ${from}`);
  }
});
