/**
 * What each session has been given, in tokens, so that the one with the least comes next: the virtual token counter
 * of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), with its weights. A prompt token to compute
 * costs 1, charged when its request leaves the queue; a generated token costs 2. Tokens from the prefix cache cost
 * nothing, and neither does computing a preempted request's tokens again.
 *
 * Counting tokens, and not requests, because a request may take a hundred times what another takes. While two sessions
 * have requests waiting, the one that has more than one request running has been given no more than the other, but for
 * what its running requests cost (the paper's theorem 4.4, for what is left when each session has a slot). Sessions that
 * hold one slot each are not evened out: a light one would have to wait for a heavy one to have caught up.
 */
export class FairShare {
  readonly #charged = new Map<string, number>();
  /** What the session served last had been charged: where one that comes to an empty queue starts. */
  #current = 0;

  /** What a session has been charged. */
  charged(sessionId: string): number {
    return this.#charged.get(sessionId) ?? 0;
  }

  /**
   * A session comes to wait that had nothing waiting. Being away is no credit: it starts from where the least served
   * of the others is.
   * @param waiting the other sessions with requests waiting.
   * @param live every session that has requests; what is known of others is forgotten once it says nothing.
   */
  join(sessionId: string, waiting: ReadonlySet<string>, live: ReadonlySet<string>): void {
    const level = waiting.size === 0 ? this.#current : Math.min(...Array.from(waiting, (id) => this.charged(id)));
    for (const [id, charge] of this.#charged) if (charge <= level && !live.has(id)) this.#charged.delete(id);
    this.#charged.set(sessionId, Math.max(this.charged(sessionId), level));
  }

  /** A session's request leaves the queue, with so many prompt tokens to compute. */
  admitted(sessionId: string, numTokens: number): void {
    this.#current = this.charged(sessionId);
    this.#charged.set(sessionId, this.#current + numTokens);
  }

  /** A session was given tokens. */
  generated(sessionId: string, numTokens: number): void {
    this.#charged.set(sessionId, this.charged(sessionId) + 2 * numTokens);
  }
}
