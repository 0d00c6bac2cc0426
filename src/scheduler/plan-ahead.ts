import type { PlanLimits, SchedulerConfig, SchedulerOutput } from '../core/scheduler-output.ts';
import { findVictim } from './fair-preemption.ts';
import { chooseNumSteps } from './num-steps.ts';
import type { PlansInFlight } from './plans-in-flight.ts';
import type { RequestQueue } from './request-queue.ts';
import { numUncomputedTokens } from './request-state.ts';
import type { RunningBatch } from './running-batch.ts';
import { toPlanAhead } from './step-shares.ts';

/** The scheduler's state. */
interface Context {
  readonly config: SchedulerConfig;
  readonly batch: RunningBatch;
  readonly waiting: RequestQueue;
  readonly inFlight: PlansInFlight;
}

/**
 * A plan to queue behind those in flight, whose ids are not known yet (vLLM's asynchronous scheduling). It exists only
 * while nothing but decoding is due: each running request decodes in the plans in flight and has tokens left after
 * them, blocks are free for the steps, and no waiting request could be admitted. `undefined` otherwise, and where
 * `maxPlansInFlight` are in flight.
 */
export function planAhead({ config, batch, waiting, inFlight }: Context, limits?: PlanLimits): SchedulerOutput | undefined {
  const { maxPlansInFlight = 1, maxStepsPerPlan } = config;
  const { requests, pool } = batch;
  if (inFlight.length >= maxPlansInFlight || requests.length > (limits?.tokenBudget ?? Infinity)) return undefined;
  if (!areDecoding(batch, inFlight) || isAnyDue(batch, waiting)) return undefined;
  const maxSteps = waiting.length > 0 ? 1 : Math.min(limits?.maxSteps ?? Infinity, maxStepsPerPlan);
  const numAhead = inFlight.numSteps;
  const numSteps = chooseNumSteps(requests, maxSteps, pool.numFree, config, numAhead);
  if (numSteps === 0) return undefined;
  for (const running of requests) batch.grow(running, numAhead + numSteps);
  return toPlanAhead(requests, numSteps, numAhead);
}

/** Whether there are plans in flight, and all decode with every running request. */
function areDecoding({ requests }: RunningBatch, inFlight: PlansInFlight): boolean {
  const requestIds = requests.map(({ state }) => state.request.requestId);
  const isDecoding = requests.every((running) => numUncomputedTokens(running) === 1);
  return requests.length > 0 && isDecoding && inFlight.lastHasAll(requestIds);
}

/** Whether a waiting request could run as soon as no plan is in flight. */
function isAnyDue(batch: RunningBatch, waiting: RequestQueue): boolean {
  const next = waiting.next(batch.requests);
  if (next === undefined) return false;
  return batch.isAnyLeaving || batch.canAdmit(next) || findVictim(next, batch) !== undefined;
}
