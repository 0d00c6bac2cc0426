// @ts-check
import { readFileSync } from 'node:fs';

/**
 * Gives a page the function `gpuProcessBytes()`, which tells the resident memory of the browser's GPU process: on a software
 * adapter that is where buffers are. Undefined where the system does not tell.
 *
 * @param {import('playwright').Page} page
 */
export async function exposeGpuProcess(page) {
  await page.exposeFunction('gpuProcessBytes', async () => {
    const session = await page.context().browser()?.newBrowserCDPSession();
    if (session === undefined) throw new Error('the page has no browser');
    try {
      const { processInfo } = await session.send('SystemInfo.getProcessInfo');
      const gpu = processInfo.find(({ type }) => type === 'GPU');
      return gpu === undefined ? undefined : residentBytes(gpu.id);
    } finally {
      await session.detach();
    }
  });
}

/** As Linux tells it.
 * @param {number} pid */
function residentBytes(pid) {
  if (process.platform !== 'linux') return undefined;
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
