import { expect, test } from 'vitest';
import { createClient } from '../../../src/client/create-client.ts';
import { checkLoadSettings } from '../../../src/core/load-settings.ts';
import { FakeLoader } from '../../support/fake-model.ts';
import { openManager, Tab } from '../../support/tab.ts';

const NO_BYTES = [0, -1, NaN, Infinity, '1', null, {}, 1n];
const BAD: Readonly<Record<string, readonly unknown[]>> = {
  kvCacheBytes: [...NO_BYTES, 'foo', ''],
  gpuMemoryBytes: [...NO_BYTES, 'auto'],
  kvCacheDtype: ['fp8', '', 16, null],
  numerics: ['f64', true],
  maxModelLen: [...NO_BYTES, 1.5, 'auto'],
  persistPrefixCache: [{ maxBytes: 0 }, { maxBytes: Infinity }, { maxBytes: NaN }, {}, 'yes', null, 64],
  tuning: ['always', false],
};
const CASES = Object.entries(BAD).flatMap(([param, values]) => values.map((value) => [param, value] as const));

test.each(CASES)('%s: %o is refused', (param, value) => {
  const named = { code: 'invalid_request', param, message: expect.stringMatching(new RegExp(`^${param} is .*; give `)) };
  expect(() => checkLoadSettings({ [param]: value })).toThrow(expect.objectContaining(named));
});

test.each([
  {}, { kvCacheBytes: 'auto' }, { kvCacheBytes: 1 }, { gpuMemoryBytes: 2 ** 33 }, { kvCacheDtype: 'int8' }, { kvCacheDtype: 'auto' }, { numerics: 'dp4a' },
  { maxModelLen: 1 }, { persistPrefixCache: false }, { persistPrefixCache: { maxBytes: 1 } }, { tuning: 'off' },
  { kvCacheBytes: undefined },
])('%o is allowed', (settings) => {
  expect(() => checkLoadSettings(settings)).not.toThrow();
});

test('the message tells what was given, and what can be', () => {
  expect(() => checkLoadSettings({ kvCacheBytes: 'foo' })).toThrow('kvCacheBytes is "foo"; give a number of bytes or "auto".');
  expect(() => checkLoadSettings({ kvCacheBytes: NaN })).toThrow('kvCacheBytes is NaN; give a number of bytes or "auto".');
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  expect(() => checkLoadSettings({ maxModelLen: circular })).toThrow('maxModelLen is of type object; give a number of tokens.');
});

test.each(CASES)('createClient with %s: %o refuses it before it looks for a GPU', async (param, value) => {
  const options = { model: 'https://a.test/m.gguf', [param]: value };
  await expect(createClient(options)).rejects.toMatchObject({ code: 'invalid_request', param });
});

test('the worker refuses it before it unloads anything', async () => {
  const loader = new FakeLoader();
  const tab = new Tab('s', openManager({ loadModel: loader.loadModel }));
  const loading = tab.load('one');
  await new Promise((resolve) => setTimeout(resolve));
  loader.last.finish();
  await loading;
  const kvCacheBytes = 'foo' as 'auto';
  const refused = tab.load({ source: 'two', kvCacheBytes });
  await expect(refused).rejects.toMatchObject({ code: 'invalid_request', param: 'kvCacheBytes' });
  expect(loader.loads).toHaveLength(1);
  expect(loader.last.destroyed()).toBe(false);
  expect(tab.metrics).toMatchObject({ model: 'one', state: 'ready' });
});
