/** The `webgpu` package's two exports; in this repository it lives in test/dawn, a package of its own. */
interface Dawn {
  create(flags: readonly string[]): GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

/** Dawn's entry, and the adapter that it has. */
export interface OpenDawn {
  readonly gpu: GPU;
  readonly info: GPUAdapterInfo;
  /** Lets Dawn go: its threads outlive a process that still holds it, and crash that on the way out. */
  readonly close: () => void;
}

/** Dawn finds no adapter. */
export class NoAdapterError extends Error {}

/** How long a poll of a software adapter sleeps first, in milliseconds: a tenth of a short dispatch there. */
const POLL_PAUSE_MS = 0.2;

/**
 * Dawn in Node, as `navigator.gpu` and WebGPU's globals. The package is `webgpu`, or the module that the environment's
 * TABSERVE_WEBGPU names.
 *
 * Dawn polls for what the GPU has done in a loop of `setImmediate`, which keeps a core busy: on a software adapter, one
 * of those that compute. There each poll sleeps first, which saves a third to a half of a decode step's CPU time (see
 * test/bench/LOG.md). On a GPU, where the sleep would be seen in every time, it does not.
 *
 * @param features of Dawn's own to turn on besides
 * @throws NoAdapterError
 */
export async function openDawn(features: readonly string[] = []): Promise<OpenDawn> {
  const specifier = process.env['TABSERVE_WEBGPU'] ?? 'webgpu';
  const dawn = (await import(/* @vite-ignore */ specifier)) as Dawn;
  const setPause = pausePolls();
  // Timestamps are quantised and immediates hidden without it, as in Chromium without --enable-unsafe-webgpu.
  const gpu = dawn.create([`enable-dawn-features=${['allow_unsafe_apis', ...features].join(',')}`]);
  Object.assign(globalThis, dawn.globals);
  // Node >= 21 has a navigator of its own.
  const host = (globalThis as { navigator?: object }).navigator ?? {};
  Object.defineProperty(host, 'gpu', { value: gpu, configurable: true });
  Object.defineProperty(globalThis, 'navigator', { value: host, configurable: true });
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new NoAdapterError('Dawn finds no adapter: --dawn=swiftshader has one wherever there is Chromium.');
  if (adapter.info.isFallbackAdapter) setPause(POLL_PAUSE_MS);
  return { gpu, info: adapter.info, close: () => void Reflect.deleteProperty(host, 'gpu') };
}

/** Makes polls, the only native functions that are given to the global `setImmediate`, sleep first. */
function pausePolls(): (milliseconds: number) => void {
  let pause = 0;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const { setImmediate } = globalThis;
  const paused = (callback: (...args: unknown[]) => void, ...args: unknown[]): NodeJS.Immediate => {
    if (pause === 0 || !/\[native code\]/.test(Function.prototype.toString.call(callback))) {
      return setImmediate(callback, ...args);
    }
    return setImmediate(() => {
      Atomics.wait(cell, 0, 0, pause);
      callback(...args);
    });
  };
  Object.defineProperty(globalThis, 'setImmediate', { value: paused, configurable: true, writable: true });
  return (milliseconds) => {
    pause = milliseconds;
  };
}
