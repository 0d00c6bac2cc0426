/** Counts what a worker holds (see channel.ts), by standing between it and the browser's constructors. */
import { SOAK_CHANNEL } from './channel.ts';
import type { Holdings } from './channel.ts';

const devices = new Map<GPUDevice, Map<GPUBuffer, number>>();
const counts = { connections: 0, writables: 0 };
/** How many listeners there are, by their target's class and the event. */
const listeners = new Map<string, number>();
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

/** How many listeners one target has to one event. */
interface ListenerCount {
  /** The target's class and the event. */
  readonly kind: string;
  size: number;
}

interface ListenerList {
  readonly count: ListenerCount;
  readonly listeners: Set<object>;
}

function countListeners(): void {
  const uncounted = Reflect.get(EventTarget.prototype, 'addEventListener') as (...args: unknown[]) => void;
  const onceUncounted = (target: EventTarget, type: string, run: () => void): void =>
    Reflect.apply(uncounted, target, [type, run, { once: true }]);
  const lists = new WeakMap<EventTarget, Map<string, ListenerList>>();
  const add = (count: ListenerCount, number: number): void => {
    count.size += number;
    listeners.set(count.kind, (listeners.get(count.kind) ?? 0) + number);
  };
  // It holds the counts and no listeners, which may hold the target.
  const collected = new FinalizationRegistry<ListenerCount>((count) => add(count, -count.size));
  const listOf = (target: EventTarget, type: unknown, options: unknown): ListenerList => {
    const ofTarget = lists.get(target) ?? new Map<string, ListenerList>();
    lists.set(target, ofTarget);
    const key = keyOf(type, options);
    const existing = ofTarget.get(key);
    if (existing !== undefined) return existing;
    const list = { count: { kind: `${target.constructor.name} ${String(type)}`, size: 0 }, listeners: new Set<object>() };
    ofTarget.set(key, list);
    collected.register(target, list.count);
    return list;
  };
  const remove = (list: ListenerList | undefined, listener: object | undefined): void => {
    if (listener !== undefined && list?.listeners.delete(listener) === true) add(list.count, -1);
  };
  wrap(EventTarget.prototype, 'addEventListener', (target, [type, listener, options], original) => {
    const { signal, once = false } = (typeof options === 'object' ? options : undefined) as AddEventListenerOptions ?? {};
    const list = listOf(target, type, options);
    if (typeof listener !== 'function' || signal?.aborted === true || list.listeners.has(listener)) return original();
    list.listeners.add(listener);
    add(list.count, 1);
    // Weakly: a signal that lives on keeps no target that nobody else has.
    const [its, itself] = [new WeakRef(list), new WeakRef(listener)];
    const forget = (): void => remove(its.deref(), itself.deref());
    if (once) onceUncounted(target, String(type), forget);
    if (signal !== undefined) onceUncounted(signal, 'abort', forget);
    return original();
  });
  wrap(EventTarget.prototype, 'removeEventListener', (target, [type, listener, options], original) => {
    if (typeof listener === 'function') remove(listOf(target, type, options), listener);
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
  const { gc } = globalThis as { gc?: (options: { type: 'major'; execution: 'async' }) => Promise<void> };
  // Finalisers run in a turn after a collection, and what they let go is collected by the next.
  for (let i = 0; i < 3; i++) {
    await gc?.({ type: 'major', execution: 'async' }); // not from here: the stack is no reason to keep anything
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const buffers = [...devices.values()].flatMap((sizes) => [...sizes.values()]);
  const bufferBytes = buffers.reduce((sum, bytes) => sum + bytes, 0);
  return { devices: devices.size, buffers: buffers.length, bufferBytes, ...counts, listeners: Object.fromEntries([...listeners].filter(([, number]) => number > 0)) };
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
