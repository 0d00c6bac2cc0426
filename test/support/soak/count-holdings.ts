/** Counts what a worker holds (see channel.ts), by standing between it and the browser's constructors. */
import { SOAK_CHANNEL } from './channel.ts';
import type { Holdings } from './channel.ts';

const devices = new Map<GPUDevice, Map<GPUBuffer, number>>();
const counts = { listeners: 0, connections: 0, writables: 0 };
type Counted = keyof typeof counts;

/** Puts `around` in the place of a method; `original` is given as its last argument, bound to `this`. */
function wrap<Target extends object, Name extends keyof Target>(
  target: Target,
  name: Name,
  around: (self: Target, args: unknown[], original: () => unknown) => unknown,
): void {
  const original = target[name] as (...args: unknown[]) => unknown;
  const wrapped = function (this: Target | undefined, ...args: unknown[]): unknown {
    const self = this ?? (globalThis as unknown as Target); // as in `addEventListener(...)` without a target
    return around(self, args, () => original.apply(self, args));
  };
  Object.defineProperty(target, name, { value: wrapped, writable: true, configurable: true });
}

/** Things that the garbage collector gives back as well as their owner. */
class Owned {
  readonly #what: Counted;
  readonly #open = new WeakMap<object, { isOpen: boolean }>();
  readonly #collected = new FinalizationRegistry<{ isOpen: boolean }>((entry) => this.#close(entry));

  constructor(what: Counted) {
    this.#what = what;
  }

  add(thing: object): void {
    const entry = { isOpen: true };
    this.#open.set(thing, entry);
    this.#collected.register(thing, entry);
    counts[this.#what]++;
  }

  remove(thing: object): void {
    this.#close(this.#open.get(thing));
  }

  #close(entry: { isOpen: boolean } | undefined): void {
    if (entry?.isOpen !== true) return;
    entry.isOpen = false;
    counts[this.#what]--;
  }
}

function countBuffers(): void {
  wrap(GPUAdapter.prototype, 'requestDevice', async (_self, _args, original) => {
    const device = (await original()) as GPUDevice;
    devices.set(device, new Map());
    void device.lost.then(() => devices.delete(device));
    return device;
  });
  wrap(GPUDevice.prototype, 'createBuffer', (device, _args, original) => {
    const buffer = original() as GPUBuffer;
    devices.get(device)?.set(buffer, buffer.size);
    return buffer;
  });
  wrap(GPUBuffer.prototype, 'destroy', (buffer, _args, original) => {
    for (const buffers of devices.values()) buffers.delete(buffer);
    return original();
  });
  wrap(GPUDevice.prototype, 'destroy', (device, _args, original) => {
    devices.delete(device);
    return original();
  });
}

/** A listener in its target's list, as the DOM tells them apart. */
const keyOf = (type: unknown, options: unknown): string => {
  const capture = typeof options === 'object' && options !== null ? (options as AddEventListenerOptions).capture : options;
  return `${String(type)} ${capture === true}`;
};

function countListeners(): void {
  const uncounted = Reflect.get(EventTarget.prototype, 'addEventListener') as (...args: unknown[]) => void;
  const onceUncounted = (target: EventTarget, type: string, run: () => void): void =>
    Reflect.apply(uncounted, target, [type, run, { once: true }]);
  const lists = new WeakMap<EventTarget, Map<string, Set<unknown>>>();
  const collected = new FinalizationRegistry<Map<string, Set<unknown>>>((lost) => {
    for (const { size } of lost.values()) counts.listeners -= size;
  });
  const listOf = (target: EventTarget, key: string): Set<unknown> => {
    let list = lists.get(target);
    if (list === undefined) {
      list = new Map();
      lists.set(target, list);
      collected.register(target, list);
    }
    const listeners = list.get(key) ?? new Set();
    list.set(key, listeners);
    return listeners;
  };
  const remove = (target: EventTarget, key: string, listener: unknown): void => {
    if (listOf(target, key).delete(listener)) counts.listeners--;
  };
  wrap(EventTarget.prototype, 'addEventListener', (target, [type, listener, options], original) => {
    const { signal, once = false } = (typeof options === 'object' ? options : undefined) as AddEventListenerOptions ?? {};
    const key = keyOf(type, options);
    const listeners = listOf(target, key);
    if (typeof listener !== 'function' || signal?.aborted === true || listeners.has(listener)) return original();
    listeners.add(listener);
    counts.listeners++;
    const forget = (): void => remove(target, key, listener);
    if (once) onceUncounted(target, String(type), forget);
    if (signal !== undefined) onceUncounted(signal, 'abort', forget);
    return original();
  });
  wrap(EventTarget.prototype, 'removeEventListener', (target, [type, listener, options], original) => {
    remove(target, keyOf(type, options), listener);
    return original();
  });
}

function countStorage(): void {
  const connections = new Owned('connections');
  wrap(IDBFactory.prototype, 'open', (_self, _args, original) => {
    const request = original() as IDBOpenDBRequest;
    request.addEventListener('success', () => connections.add(request.result), { once: true });
    return request;
  });
  wrap(IDBDatabase.prototype, 'close', (database, _args, original) => {
    connections.remove(database);
    return original();
  });
  const writables = new Owned('writables');
  wrap(FileSystemFileHandle.prototype, 'createWritable', async (_self, _args, original) => {
    const writable = (await original()) as FileSystemWritableFileStream;
    writables.add(writable);
    return writable;
  });
  for (const end of ['close', 'abort'] as const) {
    wrap(WritableStream.prototype, end, (writable, _args, original) => {
      writables.remove(writable);
      return original();
    });
  }
}

async function holdings(): Promise<Holdings> {
  const { gc } = globalThis as { gc?: () => void };
  // Finalisers run in a turn after a collection, and what they let go is collected by the next.
  for (let i = 0; i < 3; i++) {
    gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const buffers = [...devices.values()].flatMap((sizes) => [...sizes.values()]);
  const bufferBytes = buffers.reduce((sum, bytes) => sum + bytes, 0);
  return { devices: devices.size, buffers: buffers.length, bufferBytes, ...counts };
}

/** Counts from here on, and answers on the channel. */
export function countHoldings(): void {
  if (typeof GPUAdapter !== 'undefined') countBuffers();
  countStorage();
  countListeners();
  const channel = new BroadcastChannel(SOAK_CHANNEL);
  channel.onmessage = async ({ data }) => {
    if (data === 'count') channel.postMessage(await holdings());
  };
}
