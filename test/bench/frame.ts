import { createClient } from '../../src/index.ts';
import { timeRequest, userSays } from '../../demo/bench/time-request.ts';
import { promptOf } from '../../demo/bench/workload.ts';

/**
 * Streams until the frame is removed. It is called, and not told by its address: a link would else load any model.
 *
 * @returns when the first text has come
 */
function stream(model: string, seed: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const ask = async (): Promise<void> => {
      const client = await createClient({ model });
      const { error } = await timeRequest(client, { messages: userSays(promptOf(seed, 4)), salt: 'bench frame', onText: () => resolve() });
      if (error !== undefined) throw new Error(error);
    };
    ask().then(() => reject(new Error('the answer had no text')), reject);
  });
}

const api = { stream };
/** What the page around it finds in this one's global. */
export type StreamFrame = typeof api;
Object.assign(globalThis, api);
