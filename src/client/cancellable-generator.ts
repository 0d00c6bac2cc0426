import { asyncDisposeBy } from './dispose.ts';

/**
 * Values that their reader may leave at any moment. A generator alone hears of it only while it stands at a `yield`: left
 * before its first value it runs no `finally`, and left while it waits it hears of it once the next value is there.
 *
 * @param cancel called once, when the reader leaves: what ends the generator if it waits
 */
export class CancellableGenerator<Value> implements AsyncGenerator<Value, void> {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #values: AsyncGenerator<Value, void>;
  readonly #cancel: () => void;
  #isCancelled = false;

  static {
    asyncDisposeBy(this.prototype, async (values) => void (await values.return()));
  }

  constructor(values: AsyncGenerator<Value, void>, cancel: () => void) {
    this.#values = values;
    this.#cancel = cancel;
  }

  async next(): Promise<IteratorResult<Value, void>> {
    if (this.#isCancelled) return { done: true, value: undefined };
    const result = await this.#values.next();
    return this.#isCancelled ? { done: true, value: undefined } : result;
  }

  async return(): Promise<IteratorResult<Value, void>> {
    if (!this.#isCancelled) {
      this.#isCancelled = true;
      this.#cancel();
    }
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<Value, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
