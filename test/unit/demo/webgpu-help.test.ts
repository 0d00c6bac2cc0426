import { describe, expect, test } from 'vitest';
import { lackOf, webGpuHelp, type Lack } from '../../../demo/src/webgpu-help.ts';
import { WEBGPU_BROWSERS } from '../../../src/core/webgpu-browsers.ts';

const chrome = (version: number, platform = 'X11; Linux x86_64') =>
  `Mozilla/5.0 (${platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
const firefox = (version: number, platform: string) => `Mozilla/5.0 (${platform}; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`;
const safari = (version: number, platform = 'Macintosh; Intel Mac OS X 10_15_7') =>
  `Mozilla/5.0 (${platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${version}.0 Safari/605.1.15`;
const IPHONE = 'iPhone; CPU iPhone OS 18_6 like Mac OS X';

const BROWSERS: readonly (readonly [userAgent: string, browser: string, hasWebGpu: boolean, step: Readonly<Record<'api' | 'adapter', string>>])[] = [
  [chrome(156), 'Chrome', true, { api: 'graphics acceleration', adapter: 'chrome://gpu' }],
  [chrome(143), 'Chrome', false, { api: 'Update it', adapter: 'chrome://gpu' }],
  [chrome(113, 'Windows NT 10.0; Win64; x64'), 'Chrome', true, { api: 'graphics acceleration', adapter: 'driver' }],
  [`${chrome(112, 'Windows NT 10.0')} Edg/112.0`, 'Edge', false, { api: 'Update it', adapter: 'graphics acceleration' }],
  [chrome(120, 'Linux; Android 10; K'), 'Chrome', false, { api: 'Update it', adapter: 'chrome://gpu' }],
  [chrome(121, 'Linux; Android 10; K'), 'Chrome', true, { api: 'graphics acceleration', adapter: 'chrome://gpu' }],
  [chrome(114, 'X11; CrOS x86_64 14541.0.0'), 'Chrome', true, { api: 'graphics acceleration', adapter: 'chrome://gpu' }],
  [firefox(150, 'X11; Linux x86_64'), 'Firefox', false, { api: 'about:config', adapter: 'about:support' }],
  [firefox(141, 'Windows NT 10.0; Win64; x64'), 'Firefox', true, { api: 'about:config', adapter: 'about:support' }],
  [firefox(141, 'Macintosh; Intel Mac OS X 10.15'), 'Firefox', false, { api: 'Update it', adapter: 'about:support' }],
  [safari(18), 'Safari', false, { api: 'Update macOS', adapter: 'Quit Safari' }],
  [safari(26), 'Safari', true, { api: 'Lockdown Mode', adapter: 'Quit Safari' }],
  [safari(18, IPHONE), 'iPhone and iPad', false, { api: 'iPadOS 26', adapter: 'Close other apps' }],
  [safari(26, IPHONE), 'iPhone and iPad', true, { api: 'Feature Flags', adapter: 'Close other apps' }],
  ['Lynx', 'This browser', false, { api: 'Update it', adapter: 'hardware acceleration' }],
];

test.each(BROWSERS)('%s is told what to do', (userAgent, browser, hasWebGpu, step) => {
  const api = webGpuHelp('api', userAgent);
  const adapter = webGpuHelp('adapter', userAgent);
  for (const [lack, help] of [['api', api], ['adapter', adapter]] as const) {
    expect(help.browser).toBe(browser);
    expect(help.steps.join(' ')).toContain(step[lack]);
    expect(help.steps.join(' ')).not.toMatch(/ from \.|undefined/);
  }
  // Nobody who has a version with WebGPU is told to update it, or to take another browser.
  expect(/Update (it|macOS|to iOS)/.test(api.steps.join(' '))).toBe(!hasWebGpu);
  expect(api.suggestsBrowsers).toBe(!hasWebGpu);
  expect(adapter.steps.join(' ')).not.toMatch(/Update it|Update macOS|has WebGPU from/);
  expect([api.title, adapter.title]).toEqual([hasWebGpu ? 'WebGPU is switched off in this browser' : 'This browser has no WebGPU', 'This browser offers no GPU']);
});

describe('what a page lacks', () => {
  const has = { isSecureContext: true, navigator: { gpu: {}, locks: {} } };
  test.each<readonly [Lack, Parameters<typeof lackOf>[0]]>([
    ['secure-context', { isSecureContext: false, navigator: {} }],
    ['api', { ...has, navigator: { locks: {} } }],
    ['locks', { ...has, navigator: { gpu: {} } }],
    ['adapter', has],
  ])('%s', (lack, scope) => {
    expect(lackOf(scope)).toBe(lack);
    expect(webGpuHelp(lack, chrome(156)).steps.length).toBeGreaterThan(0);
  });
});

test('no text contradicts another: without an adapter nobody is told that there is no WebGPU', () => {
  const { title, lead } = webGpuHelp('adapter', chrome(156));
  expect(`${title} ${lead}`).not.toMatch(/no WebGPU|not available/);
  expect(webGpuHelp('secure-context', chrome(100)).steps).toEqual([expect.stringContaining('https')]);
});

test('the first versions are those that the table names', () => {
  for (const { from, since } of WEBGPU_BROWSERS) {
    for (const version of Object.values(since)) expect(from).toContain(String(version));
  }
});
