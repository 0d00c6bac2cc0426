import { expect, test } from 'vitest';
import { webGpuHelp } from '../../../demo/src/webgpu-help.ts';
import type { MissingFeature } from '../../../src/index.ts';
import { WEBGPU_BROWSERS } from '../../../src/core/webgpu-browsers.ts';

const chrome = (version: number, platform = 'X11; Linux x86_64') =>
  `Mozilla/5.0 (${platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
const firefox = (version: number, platform: string) => `Mozilla/5.0 (${platform}; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`;
const safari = (version: number, platform = 'Macintosh; Intel Mac OS X 10_15_7') =>
  `Mozilla/5.0 (${platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${version}.0 Safari/605.1.15`;
const IPHONE = 'iPhone; CPU iPhone OS 18_6 like Mac OS X';

const BROWSERS: readonly (readonly [userAgent: string, browser: string, hasWebGpu: boolean, step: Readonly<Record<'webgpu' | 'adapter', string>>])[] = [
  [chrome(156), 'Chrome', true, { webgpu: 'graphics acceleration', adapter: 'chrome://gpu' }],
  [chrome(143), 'Chrome', false, { webgpu: 'Update it', adapter: 'chrome://gpu' }],
  [chrome(113, 'Windows NT 10.0; Win64; x64'), 'Chrome', true, { webgpu: 'graphics acceleration', adapter: 'driver' }],
  [`${chrome(112, 'Windows NT 10.0')} Edg/112.0`, 'Edge', false, { webgpu: 'Update it', adapter: 'graphics acceleration' }],
  [chrome(120, 'Linux; Android 10; K'), 'Chrome', false, { webgpu: 'Update it', adapter: 'chrome://gpu' }],
  [chrome(121, 'Linux; Android 10; K'), 'Chrome', true, { webgpu: 'graphics acceleration', adapter: 'chrome://gpu' }],
  [chrome(114, 'X11; CrOS x86_64 14541.0.0'), 'Chrome', true, { webgpu: 'graphics acceleration', adapter: 'chrome://gpu' }],
  [firefox(150, 'X11; Linux x86_64'), 'Firefox', false, { webgpu: 'about:config', adapter: 'about:support' }],
  [firefox(141, 'Windows NT 10.0; Win64; x64'), 'Firefox', true, { webgpu: 'about:config', adapter: 'about:support' }],
  [firefox(141, 'Macintosh; Intel Mac OS X 10.15'), 'Firefox', false, { webgpu: 'Update it', adapter: 'about:support' }],
  [safari(18), 'Safari', false, { webgpu: 'Update macOS', adapter: 'Quit Safari' }],
  [safari(26), 'Safari', true, { webgpu: 'Lockdown Mode', adapter: 'Quit Safari' }],
  [safari(18, IPHONE), 'iPhone and iPad', false, { webgpu: 'iPadOS 26', adapter: 'Close other apps' }],
  [safari(26, IPHONE), 'iPhone and iPad', true, { webgpu: 'Feature Flags', adapter: 'Close other apps' }],
  ['Lynx', 'This browser', false, { webgpu: 'Update it', adapter: 'hardware acceleration' }],
];

test.each(BROWSERS)('%s is told what to do', (userAgent, browser, hasWebGpu, step) => {
  const webgpu = webGpuHelp('webgpu', userAgent);
  const adapter = webGpuHelp('adapter', userAgent);
  for (const [missing, help] of [['webgpu', webgpu], ['adapter', adapter]] as const) {
    expect(help.browser).toBe(browser);
    expect(help.steps.join(' ')).toContain(step[missing]);
    expect(help.steps.join(' ')).not.toMatch(/ from \.|undefined/);
  }
  // Nobody who has a version with WebGPU is told to update it, or to take another browser.
  expect(/Update (it|macOS|to iOS)/.test(webgpu.steps.join(' '))).toBe(!hasWebGpu);
  expect(webgpu.suggestsBrowsers).toBe(!hasWebGpu);
  expect(adapter.steps.join(' ')).not.toMatch(/Update it|Update macOS|has WebGPU from/);
  expect([webgpu.title, adapter.title]).toEqual([hasWebGpu ? 'WebGPU is switched off in this browser' : 'This browser has no WebGPU', 'This browser offers no GPU']);
});

test.each<MissingFeature>(['page', 'secure_context', 'origin', 'webgpu', 'web_locks', 'adapter'])('there is something to do about a missing %s', (missing) => {
  expect(webGpuHelp(missing, chrome(156)).steps.length).toBeGreaterThan(0);
});

test('no text contradicts another: without an adapter nobody is told that there is no WebGPU', () => {
  const { title, lead } = webGpuHelp('adapter', chrome(156));
  expect(`${title} ${lead}`).not.toMatch(/no WebGPU|not available/);
  expect(webGpuHelp('secure_context', chrome(100)).steps).toEqual([expect.stringContaining('https')]);
});

test('the first versions are those that the table names', () => {
  for (const { from, since } of WEBGPU_BROWSERS) {
    for (const version of Object.values(since)) expect(from).toContain(String(version));
  }
});
