import { expect, test } from 'vitest';
import { checkSupport, missingSupport } from '../../../src/client/support.ts';

const whole = { isSecureContext: true, origin: 'https://a.test', navigator: { gpu: {}, locks: {} } };

test('a page that has everything is fine', () => {
  expect(missingSupport(whole)).toBeUndefined();
});

test.each([
  ['an insecure origin', { ...whole, isSecureContext: false, origin: 'http://10.0.0.1:80', navigator: {} },
    /http:\/\/10\.0\.0\.1:80.*https/s],
  ['no WebGPU', { ...whole, navigator: { locks: {} } }, /navigator\.gpu.*Chrome.*Safari.*Firefox/s],
  ['no Web Locks', { ...whole, navigator: { gpu: {} } }, /navigator\.locks.*Chrome/s],
])('%s is named, with what has it', (_name, scope, message) => {
  expect(() => checkSupport(scope)).toThrow(expect.objectContaining({ code: 'webgpu_unavailable' }));
  expect(missingSupport(scope)).toMatch(message);
});
