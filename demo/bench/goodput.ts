import type { RequestTimes } from './figures.ts';
import { tpotOf } from './statistics.mjs';

/** What a request has to keep to count. */
export interface LatencyTarget {
  readonly ttftMs: number;
  /** Mean time of a token after the first. */
  readonly tpotMs: number;
}

/**
 * Requests a second that met the whole target, as vllm bench's `goodput`: a request of one token has no TPOT to miss, and
 * one that failed has met nothing.
 *
 * @param durationMs from the first arrival to the last end
 */
export function goodput(requests: readonly RequestTimes[], durationMs: number, target: LatencyTarget): number {
  const good = requests.filter((request) => {
    const [ttft = Infinity] = request.textMs;
    return request.error === undefined && ttft <= target.ttftMs && (tpotOf(request) ?? 0) <= target.tpotMs;
  });
  return (good.length / durationMs) * 1000;
}
