import { type ModelHolder, TabserveError } from '../core/errors.ts';
import type { GpuNeed } from '../runner/gpu-budget.ts';
import { mib } from '../runner/kv-cache-plan.ts';

/** A model that has reserved GPU memory. */
export interface MemoryHolder {
  readonly id: string;
  /** The `model` by which another tab joins it; undefined for a user's file. */
  readonly url: string | undefined;
  readonly gpuBytes: number;
  readonly numSessions: number;
  readonly numRequests: number;
  /** Whether it may be unloaded: it is loaded, and works on no request. */
  readonly isIdle: boolean;
  /** Engine-clock milliseconds of its last load, request or token. */
  readonly lastUsed: number;
}

/** The bytes that a model may take, and the models to unload first. */
export interface EvictionPlan<T extends MemoryHolder> {
  readonly grantedBytes: number;
  readonly unload: readonly T[];
}

/**
 * Chooses the models to unload so that another one fits. Idle models are unloaded only where it takes that: first those
 * that no session has, then the least recently used. No more are unloaded than it takes to leave enough. If the model wants
 * more memory than is left then, its KV cache is smaller.
 *
 * @throws TabserveError `model_busy` where models at work leave too little.
 */
export function planEviction<T extends MemoryHolder>(need: GpuNeed, others: readonly T[]): EvictionPlan<T> {
  const { minBytes, enoughBytes, wantedBytes, budgetBytes } = need;
  const left = freeBytes(budgetBytes, others);
  if (minBytes > left) throw taken(need, left, others.filter(isBusy));
  const idle = others.filter(({ isIdle }) => isIdle).toSorted(byUse);
  const unload: T[] = [];
  let leftBytes = left - sumOf(idle);
  for (const holder of idle) {
    if (leftBytes >= Math.min(enoughBytes, left)) break;
    unload.push(holder);
    leftBytes += holder.gpuBytes;
  }
  return { grantedBytes: Math.min(wantedBytes, leftBytes), unload };
}

/** The bytes that remain beside models which cannot be unloaded at the moment. */
export function freeBytes(budgetBytes: number, others: readonly MemoryHolder[]): number {
  return Math.max(0, budgetBytes - sumOf(others.filter(isBusy)));
}

function isBusy({ isIdle, gpuBytes }: MemoryHolder): boolean {
  return !isIdle && gpuBytes > 0;
}

function byUse(a: MemoryHolder, b: MemoryHolder): number {
  return Math.min(a.numSessions, 1) - Math.min(b.numSessions, 1) || a.lastUsed - b.lastUsed;
}

function sumOf(memoryHolders: readonly MemoryHolder[]): number {
  return memoryHolders.reduce((sum, { gpuBytes }) => sum + gpuBytes, 0);
}

function taken({ minBytes: neededBytes, budgetBytes }: GpuNeed, left: number, busy: readonly MemoryHolder[]): TabserveError {
  const models = busy.map(({ id, gpuBytes, numSessions, numRequests }): ModelHolder => {
    return { id, gpuBytes, sessions: numSessions, requests: numRequests };
  });
  const holders = models.map(({ id, gpuBytes, sessions, requests }) => {
    return `"${id}" (${mib(gpuBytes)}, ${count(sessions, 'tab')}, ${count(requests, 'request')})`;
  });
  const loadedModel = busy.find(({ url }) => url !== undefined)?.url;
  const message =
    `There is no room on the GPU beside what other tabs are using: this model needs ${mib(neededBytes)}, and ` +
    `${mib(left)} of ${mib(budgetBytes)} are left beside ${holders.join(' and ')}. Wait until they have answered, use ` +
    'such a model here too, close the other tab (or its client), or raise gpuMemoryBytes if the GPU has more.';
  const details = { neededBytes, freeBytes: left, budgetBytes, models, ...(loadedModel === undefined ? {} : { loadedModel }) };
  return new TabserveError('model_busy', message, { details });
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
