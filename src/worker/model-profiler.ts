import { TabserveError } from '../core/errors.ts';
import type { AdapterLimits, ProfileOptions, Profiler, StepProfile } from '../core/profile.ts';
import type { IdleQueue } from '../engine/idle-queue.ts';

const DEFAULTS: Required<ProfileOptions> = { steps: 8, phase: 'decode', timeoutMs: 10_000 };
const MAX_STEPS = 100;

export interface ModelProfilerOptions {
  readonly profiler: Profiler;
  /** Limits are measured while nothing else uses the GPU. */
  readonly idleQueue: Pick<IdleQueue, 'measure' | 'isGpuFree'>;
  /** Resolves when the GPU device is lost, or the model unloaded. */
  readonly lost: Promise<TabserveError>;
}

/** Profiles one loaded model, for any of its sessions. A failure concerns the call alone, and no request. */
export class ModelProfiler {
  readonly #options: ModelProfilerOptions;
  #limits: AdapterLimits | undefined;
  #measuring: Promise<AdapterLimits> | undefined;

  constructor(options: ModelProfilerOptions) {
    this.#options = options;
  }

  /**
   * Measured once, while no model of the worker answers, loads or is tuned. That takes a second or two, in which requests
   * wait.
   */
  async limits(): Promise<AdapterLimits> {
    const { idleQueue, profiler } = this.#options;
    this.#measuring ??= idleQueue.measure(() => this.#untilLost(profiler.measureLimits()));
    try {
      this.#limits = await this.#untilLost(this.#measuring);
      return this.#limits;
    } catch (error) {
      this.#measuring = undefined; // the next call tries again
      throw error;
    }
  }

  /** Includes the limits where they are known, or can be measured now because nothing uses the GPU. */
  async profile(options: ProfileOptions): Promise<StepProfile> {
    const wanted = checkOptions(options);
    if (this.#limits === undefined && this.#options.idleQueue.isGpuFree) await this.limits();
    return this.#untilLost(this.#options.profiler.profile(wanted, this.#limits));
  }

  #untilLost<T>(task: Promise<T>): Promise<T> {
    const lost = this.#options.lost.then((error) => Promise.reject(error));
    return Promise.race([task, lost]);
  }
}

/** Callers without types may pass anything. */
function checkOptions(options: ProfileOptions): Required<ProfileOptions> {
  const wanted = { ...DEFAULTS, ...options };
  const { steps, phase, timeoutMs } = wanted;
  const refuse = (param: string, message: string): never => {
    throw new TabserveError('invalid_request', message, { param });
  };
  if (!Number.isInteger(steps) || steps < 1 || steps > MAX_STEPS) refuse('steps', `steps is a whole number from 1 to ${MAX_STEPS}.`);
  if (phase !== 'decode' && phase !== 'prefill') refuse('phase', 'phase is "decode" or "prefill".');
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31)) refuse('timeoutMs', 'timeoutMs is a number of milliseconds above 0.');
  return wanted;
}
