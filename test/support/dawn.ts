import { afterAll } from 'vitest';

/** The `webgpu` package's two exports; it lives in test/dawn, a package of its own, so the compiler does not see it. */
interface Dawn {
  create(flags: readonly string[]): GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

const entry = new URL('../dawn/node_modules/webgpu/index.js', import.meta.url).href;
const dawn = (await import(/* @vite-ignore */ entry)) as Dawn;
// Timestamps are quantised and immediates hidden without it, as in Chromium without --enable-unsafe-webgpu.
const gpu = dawn.create(['enable-dawn-features=allow_unsafe_apis']);

Object.assign(globalThis, dawn.globals);
// Node >= 21 has a navigator of its own.
const host = (globalThis as { navigator?: object }).navigator ?? {};
Object.defineProperty(host, 'gpu', { value: gpu, configurable: true });
Object.defineProperty(globalThis, 'navigator', { value: host, configurable: true });

const adapter = await gpu.requestAdapter();
if (adapter === null) throw new Error('Dawn finds no adapter; try npm test -- --dawn=swiftshader.');
const { vendor, architecture, device, description } = adapter.info;
console.log(`Dawn on ${[vendor, architecture, device, description].filter((text) => text !== '').join(', ')}`);

// Dawn's threads outlive a process that still holds its instance, and crash it on the way out.
afterAll(() => {
  Reflect.deleteProperty(host, 'gpu');
});
