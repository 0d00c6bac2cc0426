/** From a test's page to the workers: hold the answer with this number, from now on; or let go of it. */
export type StepCommand = { readonly type: 'arm'; readonly hold: number } | { readonly type: 'release' };

/** From a worker: an answer is held; or, to `release`, how many there were. */
export type StepReport = { readonly type: 'held'; readonly what: string } | { readonly type: 'counted'; readonly steps: number };

export const STEPS_CHANNEL = 'tabserve-test-steps';
