import { TabserveError } from '../core/errors.ts';
import type { AdapterLimits, ProfileOptions, ProfilePhase, Profiler, StepProfile } from '../core/profile.ts';
import type { Gpu } from '../gpu/device.ts';
import { probeLimits } from '../gpu/limits-probe.ts';
import type { Op, StepShape } from '../gpu/op.ts';
import { PassTimer } from '../gpu/pass-timer.ts';
import { profileOf } from '../gpu/step-profile.ts';

/** A profile that waits for steps. */
interface Active {
  readonly phase: ProfilePhase;
  readonly timer: PassTimer;
  /** Called at each step that it records. */
  readonly onStep: () => void;
}

/**
 * Profiles the runner's next steps on request, one profile after another. It holds no resources between profiles. An
 * error fails the profile and no step.
 */
export class StepProfiler implements Profiler {
  readonly #gpu: Gpu;
  readonly #ops: readonly Op[];
  #active: Active | undefined;
  /** Settles when no profile is running or queued. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(gpu: Gpu, ops: readonly Op[]) {
    this.#gpu = gpu;
    this.#ops = ops;
  }

  async profile(options: Required<ProfileOptions>, limits: AdapterLimits | undefined): Promise<StepProfile> {
    if (!this.#gpu.device.features.has('timestamp-query')) {
      const message = 'This browser has no GPU timestamps (`timestamp-query`): steps cannot be profiled here.';
      throw new TabserveError('profiling_unavailable', message);
    }
    const profiled = this.#turn.then(() => this.#profile(options, limits));
    this.#turn = profiled.catch(() => {}); // the caller receives the error
    return profiled;
  }

  measureLimits(): Promise<AdapterLimits> {
    return probeLimits(this.#gpu);
  }

  /** The timer of the next step; undefined unless a profile waits for such a step. */
  timerOf(step: StepShape): PassTimer | undefined {
    const active = this.#active;
    if (active === undefined || active.timer.isFull || phaseOf(step) !== active.phase) return undefined;
    active.onStep();
    return active.timer;
  }

  async #profile(options: Required<ProfileOptions>, limits: AdapterLimits | undefined): Promise<StepProfile> {
    const timer = await PassTimer.create(this.#gpu, this.#ops.length, options.steps);
    try {
      await this.#steps(timer, options);
      if (timer.numSteps === 0) throw noStep(options);
      const { adapter } = this.#gpu;
      return profileOf(this.#ops, await timer.read(), { adapter, limits, phase: options.phase });
    } finally {
      timer.destroy();
    }
  }

  /** Resolves when the timer has all its steps, or when no further one came in time. */
  async #steps(timer: PassTimer, { phase, timeoutMs }: Required<ProfileOptions>): Promise<void> {
    let patience: ReturnType<typeof setTimeout> | undefined;
    try {
      await new Promise<void>((resolve) => {
        const wait = (): void => {
          clearTimeout(patience);
          patience = setTimeout(resolve, timeoutMs);
        };
        const onStep = (): void => {
          wait();
          queueMicrotask(() => timer.isFull && resolve()); // by then it is encoded
        };
        this.#active = { phase, timer, onStep };
        wait();
      });
    } finally {
      clearTimeout(patience);
      this.#active = undefined;
    }
  }
}

function phaseOf({ tokens, samples }: StepShape): ProfilePhase {
  return tokens === samples ? 'decode' : 'prefill';
}

function noStep({ phase, timeoutMs }: Required<ProfileOptions>): TabserveError {
  const what = phase === 'decode' ? 'No answer was being decoded' : 'No prompt was being read';
  const message = `${what} within ${timeoutMs} ms: send a request, and profile while it runs.`;
  return new TabserveError('deadline_exceeded', message);
}
