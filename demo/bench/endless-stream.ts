import type { Client } from '../../src/client/client.ts';
import type { BenchContext } from './bench-context.ts';
import type { RequestTimes } from './figures.ts';
import { requireAnswer, timeRequest, userSays } from './time-request.ts';
import { promptOf } from './workload.ts';

/** Words of what the streams answer. */
const FEW = 4;

/** One answer, and another one should it end too early. */
export class EndlessStream {
  readonly ended: Promise<readonly RequestTimes[]>;
  /** Pieces of text so far. */
  length = 0;
  #waiting: { readonly length: number; readonly resolve: () => void }[] = [];

  constructor(context: BenchContext, client: Client, seed: number, signal: AbortSignal) {
    this.ended = this.#run(context, client, seed, signal);
    this.ended.catch(() => {}); // whoever waits for it hears of it
  }

  /** Resolves when so many pieces of text have come; rejects with what the stream failed with. */
  async reached(length: number): Promise<void> {
    const there = new Promise<void>((resolve) => this.#waiting.push({ length, resolve }));
    this.#wake();
    await Promise.race([there, this.ended]);
  }

  async #run(context: BenchContext, client: Client, seed: number, signal: AbortSignal): Promise<RequestTimes[]> {
    const answers: RequestTimes[] = [];
    while (!signal.aborted) {
      const messages = userSays(promptOf(seed + 100 * answers.length, FEW));
      const onText = (): void => {
        this.length++;
        this.#wake();
      };
      answers.push(await requireAnswer(timeRequest(client, { messages, salt: context.salt(), signal, onText })));
    }
    return answers;
  }

  #wake(): void {
    const isThere = ({ length }: { readonly length: number }): boolean => length <= this.length;
    for (const { resolve } of this.#waiting.filter(isThere)) resolve();
    this.#waiting = this.#waiting.filter((waiting) => !isThere(waiting));
  }
}
