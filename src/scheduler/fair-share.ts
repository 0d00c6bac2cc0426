/**
 * Counts the tokens that each session has received, so that the session with the fewest comes next: the virtual token
 * counter of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), with its weights. A prompt token to
 * compute costs 1, charged when its request leaves the queue; a generated token costs 2. Tokens from the prefix cache
 * are free, and so is recomputing a preempted request's tokens.
 *
 * Tokens are counted, not requests, because one request may take a hundred times as much as another. While two sessions
 * have requests waiting, the one with more than one request running has received no more than the other, apart from the
 * cost of its running requests (the paper's theorem 4.4, for the slots that remain when each session has one). Sessions
 * with one slot each are not equalised: a light one would have to wait until a heavy one had caught up.
 */
export class FairShare {
  readonly #charged = new Map<string, number>();
  /** The charge of the session served last: the start for one that joins an empty queue. */
  #current = 0;

  /** A session's charge. */
  charged(sessionId: string): number {
    return this.#charged.get(sessionId) ?? 0;
  }

  /**
   * A session without waiting requests queues one. Absence earns no credit: the session starts from the least charge of
   * the others.
   * @param waiting the other sessions with requests waiting.
   * @param live every session with requests; other sessions are forgotten once their charge no longer matters.
   */
  join(sessionId: string, waiting: ReadonlySet<string>, live: ReadonlySet<string>): void {
    const level = waiting.size === 0 ? this.#current : Math.min(...Array.from(waiting, (id) => this.charged(id)));
    for (const [id, charge] of this.#charged) if (charge <= level && !live.has(id)) this.#charged.delete(id);
    this.#charged.set(sessionId, Math.max(this.charged(sessionId), level));
  }

  /** A session's request leaves the queue, with `numTokens` prompt tokens to compute. */
  admitted(sessionId: string, numTokens: number): void {
    this.#current = this.charged(sessionId);
    this.#charged.set(sessionId, this.#current + numTokens);
  }

  /** A session has received tokens. */
  generated(sessionId: string, numTokens: number): void {
    this.#charged.set(sessionId, this.charged(sessionId) + 2 * numTokens);
  }
}
