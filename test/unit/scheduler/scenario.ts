import fc from 'fast-check';
import { TabserveError } from '../../../src/core/errors.ts';
import type { EngineRequest } from '../../../src/core/request.ts';
import type { PlanLimits, SchedulerConfig } from '../../../src/core/scheduler-output.ts';
import { type HashBlock, hashBlock } from '../../../src/scheduler/block-hash.ts';
import { createRandom } from '../../support/random.ts';
import { runAlone, VOCAB_SIZE } from './fake-runner.ts';
import { Simulation } from './simulation.ts';

/**
 * How long properties are tried, at the same seed each time. `TABSERVE_PROPERTY_RUNS=20000` looks further, and
 * `TABSERVE_PROPERTY_SEED` elsewhere.
 */
export function propertyParameters(numRuns: number): { readonly seed: number; readonly numRuns: number } {
  const { TABSERVE_PROPERTY_RUNS: runs, TABSERVE_PROPERTY_SEED: seed } = process.env;
  return { seed: Number(seed ?? 4), numRuns: Number(runs ?? numRuns) };
}

/** A request to be, in terms that shrink: which prefix, how much of it, and so on. */
interface RequestPlan {
  readonly session: number;
  /** Whose prompt begins alike: one of three, or a prompt and answer of an earlier request. */
  readonly prefix: number;
  readonly follows: number | undefined;
  readonly prefixLength: number;
  readonly ownTokens: readonly number[];
  readonly maxTokens: number;
  readonly stopTokenIds: readonly number[];
  readonly seed: number;
  readonly salt: string | undefined;
  readonly priority: number | undefined;
  readonly deadlineIn: number | undefined;
  readonly supersede: string | undefined;
  /** How much of its answer it has already, of 100; `undefined` where it is new. */
  readonly resumedAt: number | undefined;
  readonly fails: boolean;
}

type Act =
  | { readonly type: 'add'; readonly request: RequestPlan }
  | { readonly type: 'abort'; readonly which: number }
  | { readonly type: 'abortSession'; readonly session: number };

type Event =
  | Act
  | { readonly type: 'step'; readonly meanwhile: readonly Act[]; readonly limits: PlanLimits | undefined }
  | { readonly type: 'steps'; readonly count: number };

/** A scheduler's configuration and what befalls it. */
export interface Scenario {
  readonly config: SchedulerConfig;
  readonly hash: keyof typeof HASHES;
  readonly events: readonly Event[];
}

const PREFIXES = [1, 2, 3].map((seed) => {
  const random = createRandom(seed);
  return Array.from({ length: 70 }, () => random.below(VOCAB_SIZE));
});

const requestPlan: fc.Arbitrary<RequestPlan> = fc.record({
  session: fc.nat(3),
  prefix: fc.nat(2),
  follows: fc.option(fc.nat(50), { nil: undefined, freq: 1 }),
  prefixLength: fc.nat(60),
  ownTokens: fc.array(fc.nat(VOCAB_SIZE - 1), { minLength: 1, maxLength: 12 }),
  maxTokens: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constant(Infinity)),
  stopTokenIds: fc.array(fc.nat(VOCAB_SIZE - 1), { maxLength: 2 }),
  seed: fc.nat(2),
  salt: fc.constantFrom(undefined, undefined, 'salt'),
  priority: fc.constantFrom(undefined, undefined, undefined, -1, 1),
  deadlineIn: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(30) }),
  supersede: fc.constantFrom(undefined, undefined, undefined, 'a', 'b'),
  resumedAt: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(99) }),
  fails: fc.nat(24).map((n) => n === 24),
});

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('add' as const), request: requestPlan }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('abort' as const), which: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('abortSession' as const), session: fc.nat(3) }) },
);

const planLimits: fc.Arbitrary<PlanLimits> = fc.record({
  tokenBudget: fc.integer({ min: 1, max: 40 }),
  maxSteps: fc.integer({ min: 1, max: 8 }),
});

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: act },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('step' as const),
      meanwhile: fc.array(act, { maxLength: 2 }),
      limits: fc.option(planLimits, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('steps' as const), count: fc.integer({ min: 1, max: 12 }) }) },
);

const config: fc.Arbitrary<SchedulerConfig> = fc
  .record({
    blockSize: fc.integer({ min: 1, max: 8 }),
    extraBlocks: fc.nat(30),
    maxNumBatchedTokens: fc.integer({ min: 1, max: 40 }),
    maxNumSeqs: fc.integer({ min: 1, max: 8 }),
    maxModelLen: fc.integer({ min: 8, max: 67 }),
    maxStepsPerPlan: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 9 })),
    maxPlansInFlight: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 4 })),
    maxNumWaiting: fc.constantFrom(3, 8, 256),
    maxNumWaitingPerSession: fc.constantFrom(2, 128),
    partials: fc.option(fc.record({ splitTokens: fc.integer({ min: 2, max: 12 }), extra: fc.nat(25) }), { nil: undefined }),
  })
  .map(({ extraBlocks, partials, ...rest }) => ({
    ...rest,
    numBlocks: Math.ceil(8 / rest.blockSize) + extraBlocks,
    ...(partials && {
      splitTokens: partials.splitTokens,
      maxNumPartials: Math.ceil(rest.maxModelLen / partials.splitTokens) + partials.extra,
    }),
  }));

/** Everything that can befall a scheduler, up to `maxEvents` of it. */
export function scenarios(maxEvents: number): fc.Arbitrary<Scenario> {
  return fc.record({
    config,
    hash: fc.constantFrom('shipping', 'shipping', 'constant', 'folded', 'unchained'),
    events: fc.array(event, { minLength: maxEvents / 4, maxLength: maxEvents, size: 'max' }),
  });
}

/** The one that ships, and bad ones: all blocks collide, many do, and those of the same tokens whatever comes before. */
const HASHES = {
  shipping: hashBlock,
  constant: () => 0,
  folded: (...block) => hashBlock(...block) % 3,
  unchained: (_, ...tokens) => hashBlock(0, ...tokens),
} satisfies Record<string, HashBlock>;

/** What a run came across. */
export type Seen = Map<string, number>;

export function count(seen: Seen, what: string, by = 1): void {
  seen.set(what, (seen.get(what) ?? 0) + by);
}

/** Plays a scenario to the end, when nothing is left to do. */
export function play({ config, hash, events }: Scenario, seen: Seen = new Map()): Simulation {
  const sim = new Simulation(config, HASHES[hash]);
  const perform = (act: Act): void => {
    if (act.type === 'add') addPlanned(sim, act.request, seen);
    else if (act.type === 'abort') count(seen, 'aborted', sim.abort(`r${act.which}`).length);
    else count(seen, 'sessions aborted', sim.abortSession(`tab${act.session}`).length);
  };
  for (const each of events) {
    if (each.type === 'steps') for (let i = 0; i < each.count; i++) sim.step();
    else if (each.type === 'step') sim.step(() => each.meanwhile.forEach(perform), each.limits);
    else perform(each);
  }
  sim.drain();
  return sim;
}

function addPlanned(sim: Simulation, plan: RequestPlan, seen: Seen): void {
  const request = toRequest(sim, plan);
  const { requestId, sessionId } = request;
  const { maxNumWaiting = 256, maxNumWaitingPerSession = 128 } = sim.config;
  try {
    const superseded = sim.add(request);
    count(seen, 'superseded', superseded.length);
    if (plan.fails) sim.failing.add(requestId);
    if (request.outputTokenIds !== undefined) count(seen, 'resumed');
  } catch (error) {
    if (!(error instanceof TabserveError) || error.code !== 'queue_full') throw error;
    // As seen from outside: no fewer have come and not ended.
    const numOfSession = sim.live.filter((journal) => journal.request.sessionId === sessionId).length;
    const isFull = sim.scheduler.stats().requestsWaiting >= maxNumWaiting || numOfSession >= maxNumWaitingPerSession;
    if (!isFull || request.outputTokenIds !== undefined) throw error;
    count(seen, 'refused');
  }
}

function toRequest(sim: Simulation, plan: RequestPlan): EngineRequest {
  const earlier = plan.follows === undefined ? undefined : sim.journals.get(`r${plan.follows}`);
  const prefix =
    earlier === undefined
      ? (PREFIXES[plan.prefix] ?? []).slice(0, plan.prefixLength)
      : [...earlier.request.promptTokenIds, ...earlier.outputTokenIds];
  // Its own tokens come last; of a prompt that is too long, the beginning is taken.
  const promptTokenIds = [...prefix, ...plan.ownTokens].slice(0, sim.maxModelLen - 1);
  const { maxTokens, stopTokenIds, seed } = plan;
  const request: EngineRequest = {
    requestId: `r${sim.journals.size}`,
    sessionId: `tab${plan.session}`,
    choice: seed % 2,
    promptTokenIds,
    sampling: { temperature: 1, seed, maxTokens, stopTokenIds, repetitionPenalty: seed === 0 ? 1.5 : undefined },
    arrivalTime: sim.now,
    priority: plan.priority,
    deadline: plan.deadlineIn === undefined ? undefined : sim.now + plan.deadlineIn,
    supersede: plan.supersede,
    cacheSalt: plan.salt,
  };
  if (plan.resumedAt === undefined) return request;
  const { outputTokenIds } = runAlone(request, sim.maxModelLen);
  return { ...request, outputTokenIds: outputTokenIds.slice(0, Math.floor((outputTokenIds.length * plan.resumedAt) / 100)) };
}
