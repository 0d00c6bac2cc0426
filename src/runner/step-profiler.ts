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
  /** Called at each step that it gets. */
  readonly onStep: () => void;
}

/**
 * Profiles the runner's next steps when it is asked to, one profile after the other. Nothing is there while none is under
 * way, and what goes wrong with one fails it and no step.
 */
export class StepProfiler implements Profiler {
  readonly #gpu: Gpu;
  readonly #ops: readonly Op[];
  #active: Active | undefined;
  /** Settles when no profile is under way or waits for its turn. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(gpu: Gpu, ops: readonly Op[]) {
    this.#gpu = gpu;
    this.#ops = ops;
  }

  async profile(options: Required<ProfileOptions>, limits: AdapterLimits | undefined): Promise<StepProfile> {
    if (!this.#gpu.device.features.has('timestamp-query')) {
      const message = 'This browser gives no GPU timestamps (`timestamp-query`): steps cannot be profiled here.';
      throw new TabserveError('profiling_unavailable', message);
    }
    const profiled = this.#turn.then(() => this.#profile(options, limits));
    this.#turn = profiled.catch(() => {}); // whoever asked for it hears of it
    return profiled;
  }

  measureLimits(): Promise<AdapterLimits> {
    return probeLimits(this.#gpu);
  }

  /** What times the step that comes next; nothing, unless a profile waits for such a step. */
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

  /** Resolves when the timer has as many steps as it takes, or no further one has come in time. */
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
