import { afterEach, expect, test, vi } from 'vitest';
import { checkSupport, missingSupport, type MissingFeature, requireSupport } from '../../../src/client/support.ts';

const locks = { query: async () => ({ held: [], pending: [] }) };
const gpu = { requestAdapter: async () => ({}) };
const whole = { document: {}, isSecureContext: true, origin: 'https://a.test', navigator: { gpu, locks } };

afterEach(() => vi.unstubAllGlobals());

test('a page that has everything is fine', async () => {
  expect(missingSupport(whole)).toBeUndefined();
  expect(await checkSupport(whole)).toEqual({ supported: true });
  await requireSupport(whole);
});

const denied = { get gpu(): unknown { throw new Error('no'); }, get locks(): unknown { throw new Error('no'); } };

test('a GPU of compatibility mode is one', async () => {
  const requestAdapter = async ({ featureLevel }: GPURequestAdapterOptions) => (featureLevel === 'compatibility' ? {} : null);
  expect(await checkSupport({ ...whole, navigator: { locks, gpu: { requestAdapter } } })).toEqual({ supported: true });
});

test.each<[string, MissingFeature, object, RegExp]>([
  ['no document, as in Node', 'page', {}, /no document.*Node.*worker/s],
  ['no document, as in a worker', 'page', { ...whole, document: undefined }, /no document.*Node.*worker/s],
  ['an insecure origin', 'secure_context', { ...whole, isSecureContext: false, origin: 'http://10.0.0.1:80', navigator: {} },
    /http:\/\/10\.0\.0\.1:80.*https/s],
  ['an opaque origin', 'origin', { ...whole, origin: 'null' }, /sandbox.*allow-same-origin/s],
  ['no WebGPU', 'webgpu', { ...whole, navigator: { locks } }, /navigator\.gpu.*Chrome.*Safari.*Firefox/s],
  ['WebGPU that cannot be looked at', 'webgpu', { ...whole, navigator: denied }, /navigator\.gpu/],
  ['no Web Locks', 'web_locks', { ...whole, navigator: { gpu } }, /navigator\.locks.*Chrome/s],
])('%s is named, with what to do', async (_name, missing, scope, reason) => {
  expect(missingSupport(scope)).toMatch(reason);
  expect(await checkSupport(scope)).toEqual({ supported: false, missing, reason: expect.stringMatching(reason) as string });
  await expect(requireSupport(scope)).rejects.toMatchObject({ code: 'webgpu_unavailable', message: expect.stringMatching(reason) as string });
});

test.each<[string, MissingFeature, object, RegExp]>([
  ['Web Locks that are denied', 'web_locks', { gpu, locks: { query: () => Promise.reject(new DOMException('Access denied.', 'SecurityError')) } },
    /navigator\.locks.*Access denied\..*cookies/s],
  ['no adapter', 'adapter', { locks, gpu: { requestAdapter: async () => null } }, /offers no GPU/],
  ['an adapter that is refused', 'adapter', { locks, gpu: { requestAdapter: () => Promise.reject(new TypeError('blocked')) } }, /offers no GPU.*blocked/s],
])('%s is found by asking', async (_name, missing, navigator, reason) => {
  const scope = { ...whole, navigator };
  expect(missingSupport(scope)).toBeUndefined();
  expect(await checkSupport(scope)).toEqual({ supported: false, missing, reason: expect.stringMatching(reason) as string });
});

test('in Node nothing is said of an origin', async () => {
  vi.stubGlobal('navigator', undefined); // as in Node before version 21
  expect(missingSupport()).toMatch(/^There is no page here/);
  expect(missingSupport()).not.toContain('origin');
  expect(await checkSupport()).toMatchObject({ supported: false, missing: 'page' });
});
