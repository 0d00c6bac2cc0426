import { ceilingShare, TabserveError, type AdapterLimits, type StepProfile } from '../../src/index.ts';
import type { ChatClient } from './contract.ts';

/** How many steps a press of the button profiles. */
export const PROFILED_STEPS = 8;
/** How long it waits for an answer to profile. */
const TIMEOUT_MS = 60_000;

export type ProfilingState =
  | { readonly kind: 'none' }
  /** For an answer, and then for its steps. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'ready'; readonly profile: StepProfile }
  | { readonly kind: 'failed'; readonly message: string };

type ProfilingClient = Pick<ChatClient, 'profile' | 'limits'>;

/** The latest profile that was asked for. */
export class Profiling {
  state: ProfilingState = { kind: 'none' };
  readonly #changed: () => void;
  /** Another one with each profile, so that what is late is not taken for it. */
  #current: object = {};

  /** @param changed called when the state is another one. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Another model, another engine. */
  reset(): void {
    this.#current = {};
    this.state = { kind: 'none' };
  }

  /** Profiles the next steps that decode; the ceilings follow when the engine has had the time to measure them. */
  async run(client: ProfilingClient): Promise<void> {
    const current = {};
    this.#current = current;
    this.#set(current, { kind: 'waiting' });
    try {
      const profile = await client.profile({ steps: PROFILED_STEPS, timeoutMs: TIMEOUT_MS });
      this.#set(current, { kind: 'ready', profile });
      if (profile.limits !== undefined) return;
      const limits = await client.limits().catch(() => undefined); // the profile is worth showing without them
      if (limits !== undefined) this.#set(current, { kind: 'ready', profile: withLimits(profile, limits) });
    } catch (error) {
      this.#set(current, { kind: 'failed', message: inWords(error) });
    }
  }

  #set(current: object, state: ProfilingState): void {
    if (current !== this.#current) return;
    this.state = state;
    this.#changed();
  }
}

function withLimits(profile: StepProfile, limits: AdapterLimits): StepProfile {
  const kernels = profile.kernels.map((kernel) => ({ ...kernel, ofCeiling: ceilingShare(kernel, limits) }));
  return { ...profile, limits, kernels };
}

function inWords(error: unknown): string {
  if (!(error instanceof TabserveError)) return String(error);
  if (error.code === 'deadline_exceeded') return 'No answer came to profile. Ask something, then try again.';
  return error.message;
}
