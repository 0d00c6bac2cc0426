import { TabserveError } from '../core/errors.ts';
import type { SchedulerOutput } from '../core/scheduler-output.ts';

/** The plans that have been made and not updated yet. They are updated in the order in which they were made. */
export class PlansInFlight {
  readonly #plans: SchedulerOutput[] = [];

  get length(): number {
    return this.#plans.length;
  }

  /** The sum of their steps. */
  get numSteps(): number {
    return this.#plans.reduce((sum, { numSteps }) => sum + numSteps, 0);
  }

  push(plan: SchedulerOutput): void {
    this.#plans.push(plan);
  }

  /** The oldest plan has completed. @throws TabserveError `internal` where `plan` is another. */
  complete(plan: SchedulerOutput): void {
    if (plan !== this.#plans[0]) {
      throw new TabserveError('internal', 'update() with a plan that is not in flight, or not the first.');
    }
    this.#plans.shift();
  }

  /** Whether a plan computes for a request. */
  has(requestId: string): boolean {
    return this.#plans.some((plan) => isIn(plan, requestId));
  }

  /** Whether the last plan, if there is one, computes for all of these. */
  lastHasAll(requestIds: readonly string[]): boolean {
    const last = this.#plans.at(-1);
    return last !== undefined && requestIds.every((requestId) => isIn(last, requestId));
  }
}

function isIn({ requests }: SchedulerOutput, requestId: string): boolean {
  return requests.some((scheduled) => scheduled.requestId === requestId);
}
